# SPDX-License-Identifier: GPL-3.0-or-later
"""Chinese captions from sentence frames: measure words, place before verb, order of clauses."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..scene import SCRIPTED, Actor, Event, Shot
from . import kinds, way, wordings
from .speaker import DIRECTED, SIDEWAYS, Speaker, indoors, same_character

NUMBERS = ("一", "两", "三", "四", "五")


def tidy(text: str) -> str:
    """Close the gaps that empty slots leave."""
    text = re.sub(r"，+(?=[，。；：？！])", "", text)
    text = re.sub(r"([：。；])，+", r"\1", text)
    return text.strip("，：；")


class Chinese(Speaker):
    """One Chinese caption."""

    language, stop, gap = "zh", "。", ""

    def shot(self, shot: Shot, before: Shot | None) -> str:
        """One shot; ``before`` is the one that it follows."""
        first = shot.actors[0]
        again = before is not None and same_character(first, before.actors[0])
        subject = self.same(first) if again else self.noun_phrase(first, shown=self.shown(shot))
        verbs = self.predicates(first, shot)
        frames = list(self.frames(self.frame_kind(verbs, before)))
        if not self.says("place"):
            frames = [f for f in frames if not re.search(r"\{P2\}", f)]
        time = self.time(shot, before)
        if time:
            frames = [f for f in frames if "{T}" in f]
        if again and self.chance(0.9 if self.manner.terse else 0.3):
            subject = self.pronoun(first)
        frame = self.pick(frames)
        look = self.look() if before is None else None
        place = self.word("places", shot.place) if self.says("place") else ""
        medium = self.medium(look if "{A" in frame else None)
        text = frame.format(
            S=subject, R=subject, V=self.sequence(verbs), P=place, P2=place.removeprefix("在"),
            T=time, A=("一张" if self.pictures() else "一段") + medium, A0=medium,
            it=self.pronoun(first),
        )  # fmt: skip
        text = tidy(text)
        for other in self.others(shot):
            text = self.beside(text, other, first)
        if look and "{A" not in frame:
            seen = self.word("looks", look, "_in")
            front = self.chance(0.5) or "。" in text or text[-1] in "？！" or len(self.scene.shots) > 1
            text = f"{seen}{self.pick('：，')}{text}" if front else f"{text}，{seen}"
        return self.filmed(text, shot)

    def keywords(self) -> str:
        """The facts in a row: 两只红色的猫，跳起来，然后旋转，森林里，夜晚，镜头推近."""
        shots = self.scene.shots if self.says("shots") else self.scene.shots[:1]
        rows = []
        for before, shot in zip((None, *shots), shots, strict=False):
            first = shot.actors[0]
            again = before is not None and same_character(first, before.actors[0])
            who = self.same(first) if again else self.noun_phrase(first)
            place = self.word("places", shot.place) if self.says("place") else ""
            words = [place.removeprefix("在"), self.time(shot, before)]
            if look := self.look() if before is None else None:
                words.append(self.word("looks", look, "_in"))
            if moves := self.moves(shot):
                words.append("镜头" + self.sequence([self.word("cameras", m) for m in moves]))
            words = [words[i] for i in self.rng.permutation(len(words))]
            words.insert(0, f"{who}{self.pick('， ')}{self.sequence(self.predicates(first, shot))}".strip())
            for other in self.others(shot):
                where = (
                    self.word("relations", other.relation).format(them=self.pronoun(first)) if other.relation else ""
                )
                rests = not self.says("motion") or all(m == "still" for m in other.motions)
                done = "" if rests else self.sequence([self.motion(m, other) for m in other.motions])
                words.append(f"{where.removeprefix('在')}有{self.noun_phrase(other, first)}{done and '，' + done}")
            rows.append("，".join(w.strip("，") for w in words if w.strip("，")))
        return self.pick(("；下一个镜头：", "；切换到：", "。然后画面切换：")).join(rows)

    def noun_phrase(self, actor: Actor, other_than: Actor | None = None, shown: str = "") -> str:
        """ "两辆红色的汽车"; another one of the same noun is "另一辆汽车"."""
        number = self.word("counts", str(actor.count))
        if not self.says("count"):
            number = "一些" if actor.count > 1 else ""
        elif other_than is not None and other_than.noun == actor.noun:
            number = f"另外{NUMBERS[actor.count - 1]}"
        measure = "" if number in ("一些", "") else self.measure(actor)
        return f"{number}{measure}{self.attributes(actor, shown)}{self.name(actor.noun)}"

    def measure(self, actor: Actor) -> str:
        """The measure word of the noun."""
        if not self.says("noun"):
            return "个"
        return self.pick(kinds()["nouns"][actor.noun]["measure"])

    def shown(self, shot: Shot) -> str:
        """What is seen of the first actor: where it looks, and in a still picture the state that an event left."""
        text = ""
        if shot.event and (state := self.state(shot.event)):
            text = self.word("states", state).format(**self.amounts(shot.event))
        facing = self.facing(shot.actors[0], shot)
        return text + (f"{self.word('facings', facing)}的" if facing else "")

    def attributes(self, actor: Actor, shown: str) -> str:
        """What stands before the noun: what is seen of it, a compliment, its colour."""
        text = shown + (self.word("frames", "nice") if self.manner.style == "nice" else "")
        if actor.colour and self.says("colour"):
            text += self.word("colours", actor.colour) + ("的" if self.chance(0.6) or not text else "")
        return text

    def same(self, actor: Actor) -> str:
        """The character of the shot before: "这只狗", "还是这三只狗"."""
        number = "" if actor.count == 1 or not self.says("count") else NUMBERS[actor.count - 1]
        measure = self.measure(actor) if self.says("count") else ""
        return self.word("frames", "same").format(m=number + measure, n=self.name(actor.noun))

    def pronoun(self, actor: Actor) -> str:
        """它, 它们 or 他们; a single person is named again, since one does not see whether 他 or 她."""
        if actor.kind.group != "people at work":
            return "它们" if actor.count > 1 else "它"
        return "他们" if actor.count > 1 else f"这{self.measure(actor)}{self.name(actor.noun)}"

    def predicates(self, actor: Actor, shot: Shot) -> list[str]:
        """What it does, in order."""
        event = shot.event if actor is shot.actors[0] else None
        if event is not None and event.kind in SCRIPTED and not self.says("event"):
            return []
        if event is not None and self.says("event"):
            done = [self.happening(event, actor)]
            used = 2 if event.kind == "leaves and returns" else 0 if event.kind in SCRIPTED else 1
            rest = actor.motions[used:]
        else:
            done, rest = [], actor.motions or ("still",)
        return done + [self.motion(m, actor) for m in rest] if self.says("motion") else done

    def verb(self, actor: Actor) -> str:
        """A verb of the noun's own way of moving."""
        return self.pick(wordings("verbs", way(actor.noun, actor.kind.gait), "zh"))

    def motion(self, motion: str, actor: Actor) -> str:
        """One motion, without its direction when that is left open."""
        go = self.verb(actor)
        if motion in DIRECTED and not self.says("direction"):
            return "在滚动" if motion.startswith("roll") else f"在{go}" if motion in SIDEWAYS else "在移动"
        options = wordings("motions", motion, "zh", self.manner.held)
        if len(go) > 1:
            options = tuple(option for option in options if option.count("{go}") < 2)
        return self.pick(options).format(go=go)

    def happening(self, event: Event, actor: Actor) -> str:
        """The event of the shot; the motion that belongs to it is in it."""
        first = actor.motions[0] if actor.motions else "right"
        return self.word("events", event.kind).format(
            motion=self.motion(first, actor),
            go=self.verb(actor),
            on=self.word("sides", SIDEWAYS.get(first, "right")),
            way=self.word("headings", SIDEWAYS.get(first, "right")),
            prop=self.word("props", event.prop or "tree"),
            **self.amounts(event),
        )

    def amounts(self, event: Event) -> dict[str, str]:
        """ "三道蓝色笔触" and "三口"."""
        number = self.pick((NUMBERS[event.count - 1], str(event.count)))
        colour = self.word("colours", event.colour) if event.colour and self.says("colour") else ""
        return {
            "strokes": self.pick((f"{number}道{colour}笔触", f"{number}笔{colour}" if colour else f"{number}笔")),
            "bites": f"{number}口",
        }

    def sequence(self, verbs: Sequence[str]) -> str:
        """Verb phrases in the order in which they happen."""
        text = verbs[0] if verbs else ""
        for verb in verbs[1:]:
            text = self.pick(self.frames("order")).format(a=text, b=verb)
        return text

    def time(self, shot: Shot, before: Shot | None) -> str:
        """Light and weather, or nothing."""
        light, weather = self.sky(shot, before)
        if not weather:
            return self.word("lights", light) if light else ""
        if light and not self.manner.held and self.chance(0.45):
            adjective = self.pick(wordings("weathers", weather, "zh_adj"))
            return adjective + self.pick(wordings("lights", light, "zh_noun"))
        sky = self.word("weathers", weather, "_in" if indoors(shot) else "")
        return f"{self.word('lights', light)}，{sky}" if light else sky

    def pictures(self) -> bool:
        """Whether a still picture is described."""
        return not self.says("motion") and not self.says("event")

    def medium(self, look: str | None) -> str:
        """ "视频", "水彩风格的短片"."""
        name = self.word("frames", "picture" if self.pictures() else "medium")
        return self.word("looks", look, "_of").format(m=name) if look else name

    def beside(self, text: str, other: Actor, first: Actor) -> str:
        """Add another noun of the shot, where it is and what it does."""
        them = self.pronoun(first) if self.chance(0.5) else self.name(first.noun)
        where = self.word("relations", other.relation).format(them=them) if other.relation else "旁边"
        who = self.noun_phrase(other, first)
        link = "" if text[-1] in "。？！" else self.pick("，；。")
        rests = all(m == "still" for m in other.motions)
        if not self.says("motion") or (rests and self.chance(0.6)):
            return f"{text}{link}{where.removeprefix('在')}有{who}"
        done = self.sequence([self.motion(m, other) for m in other.motions])
        if self.chance(0.5):
            return f"{text}{link}{where.removeprefix('在')}有{who}，{done}"
        return f"{text}{link}{where}，{who}{done}"

    def filmed(self, text: str, shot: Shot) -> str:
        """Add what the camera does."""
        moves = self.moves(shot)
        if not moves:
            return text
        done = self.sequence([self.word("cameras", m) for m in moves])
        link = "" if text[-1] in "。？！" else self.pick(("，", "。", "，同时"))
        return f"{text}{link}镜头{done}"
