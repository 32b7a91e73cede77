# SPDX-License-Identifier: GPL-3.0-or-later
"""Captions of the scene world, in English and Chinese, short and dense, with synonyms."""

from __future__ import annotations

import numpy as np

from ..models.text import WORDS
from .world import WALKERS, Scene

Words = dict[str, tuple[str, ...]]

NOUNS: Words = {
    "red panda": ("red panda", "red panda", "little red panda"),
    "dog": ("dog", "puppy"),
    "horse": ("horse", "brown horse", "pony"),
    "cow": ("cow", "spotted cow"),
    "elephant": ("elephant", "grey elephant"),
    "giraffe": ("giraffe", "tall giraffe"),
    "rabbit": ("rabbit", "bunny", "white rabbit"),
    "turtle": ("turtle", "tortoise", "green turtle"),
    "duck": ("duck", "mallard"),
    "penguin": ("penguin", "little penguin"),
    "dinosaur": ("dinosaur", "green dinosaur", "t-rex"),
    "butterfly": ("butterfly", "orange butterfly"),
    "car": ("car", "red car", "automobile"),
    "bus": ("bus", "coach"),
    "helicopter": ("helicopter", "chopper"),
    "balloon": ("balloon", "red balloon"),
}
NOUNS_ZH: Words = {
    "red panda": ("小熊猫",),
    "dog": ("狗", "小狗"),
    "horse": ("马",),
    "cow": ("奶牛", "牛"),
    "elephant": ("大象",),
    "giraffe": ("长颈鹿",),
    "rabbit": ("兔子", "白兔"),
    "turtle": ("乌龟",),
    "duck": ("鸭子",),
    "penguin": ("企鹅",),
    "dinosaur": ("恐龙",),
    "butterfly": ("蝴蝶",),
    "car": ("汽车", "红色汽车"),
    "bus": ("公共汽车", "巴士"),
    "helicopter": ("直升机",),
    "balloon": ("气球", "红气球"),
}
PLACES: Words = {
    "meadow": ("in a green meadow", "on a sunny meadow", "among green hills", "on the grass"),
    "beach": ("on the beach", "at the seaside", "on a sandy beach by the sea"),
    "desert": ("in the desert", "among sand dunes and cacti", "in a hot desert"),
    "snow": ("in falling snow", "through falling snow", "in the snow", "in a snowy winter landscape", "while it snows"),
    "forest": ("in the forest", "in the woods", "among tall trees"),
    "city": ("in the city", "on a city street", "in front of buildings", "in town"),
    "night": ("at night", "under the moon", "at night under the stars", "by moonlight"),
}
PLACES_ZH: Words = {
    "meadow": ("在绿色的草地上", "在草原上"),
    "beach": ("在海滩上", "在海边"),
    "desert": ("在沙漠里", "在沙丘间"),
    "snow": ("在飘落的雪中", "在雪地里"),
    "forest": ("在森林里", "在树林中"),
    "city": ("在城市街道上", "在城市里"),
    "night": ("在夜晚的月光下", "在夜里的星空下"),
}
MOTIONS: Words = {
    "still": ("stands still", "stays in place", "does not move", "rests"),
    "right": ("{go} to the right", "{go} from left to right", "{go} rightwards"),
    "left": ("{go} to the left", "{go} from right to left", "{go} leftwards"),
    "up": ("rises into the air", "floats upwards", "goes up", "flies up"),
    "down": ("sinks to the ground", "floats downwards", "goes down", "comes down from above"),
    "jump": ("jumps up and down", "jumps", "hops", "bounces"),
    "closer": ("comes closer", "approaches the camera", "comes towards us", "gets bigger"),
    "away": ("moves away", "goes away from the camera", "disappears into the distance", "gets smaller"),
    "spin": ("spins around", "turns round and round", "rotates", "spins"),
    "sway": ("sways from side to side", "rocks to and fro", "wobbles", "sways"),
}
MOTIONS_ZH: Words = {
    "still": ("静止不动", "站着不动"),
    "right": ("向右{go}", "从左向右{go}"),
    "left": ("向左{go}", "从右向左{go}"),
    "up": ("向上升起", "往上飞"),
    "down": ("向下落", "从上面降下来"),
    "jump": ("跳来跳去", "上下跳动"),
    "closer": ("越来越近", "向镜头走来"),
    "away": ("越来越远", "离镜头而去"),
    "spin": ("旋转", "转圈"),
    "sway": ("左右摇摆", "摇晃"),
}
CAMERAS: Words = {
    "still": ("", "", "the camera is still", "a static shot"),
    "pan right": ("the camera pans right", "the camera moves to the right"),
    "pan left": ("the camera pans left", "the camera moves to the left"),
    "zoom in": ("the camera zooms in", "the camera slowly zooms in", "a slow zoom in"),
    "zoom out": ("the camera zooms out", "the camera slowly zooms out", "a slow zoom out"),
}
CAMERAS_ZH: Words = {
    "still": ("", "镜头静止"),
    "pan right": ("镜头向右移动",),
    "pan left": ("镜头向左移动",),
    "zoom in": ("镜头慢慢推近",),
    "zoom out": ("镜头慢慢拉远",),
}
WALKS = ("walks", "walks", "moves", "goes", "runs")
RIDES = ("moves", "goes", "drives", "glides")
FLIES = ("moves", "flies", "floats")
TEMPLATES = (
    "{a} {noun} {motion} {place}{, camera}",
    "{a} {noun} {motion} {place}{while camera}",
    "{place}, {a} {noun} {motion}{, camera}",
    "a video of {a} {noun} that {motion} {place}{, camera}",
    "{noun} {motion} {place}{, camera}",
    "{camera, }{a} {noun} {motion} {place}",
    "{a} {noun} {place} {motion}{while camera}",
)


def caption(scene: Scene, rng: np.random.Generator, language: str | None = None, vague: float = 0.08) -> str:
    """Describe a scene in random words; ``language`` is "en" or "zh", by default Chinese in a fifth of cases.

    ``vague`` is the share of English captions that do not say which way something goes: users often do not.
    """
    if language == "zh" or (language is None and rng.random() < 0.2):
        return _chinese(scene, rng)
    noun, place = _pick(NOUNS[scene.object], rng), _pick(PLACES[scene.place], rng)
    motions = MOTIONS[scene.motion]
    if scene.motion in ("left", "right") and rng.random() < vague:
        motions = ("{go}",)
    motion = _pick(motions, rng).format(go=_pick(_verbs(scene.object), rng))
    camera = _pick(CAMERAS[scene.camera], rng)
    joined = f" while {camera}" if camera.startswith("the camera") else f", {camera}"
    text = _pick(TEMPLATES, rng)
    for slot, value in {
        "{a}": "an" if noun[0] in "aeiou" else "a",
        "{noun}": noun,
        "{motion}": motion,
        "{place}": place,
        "{, camera}": f", {camera}" if camera else "",
        "{while camera}": joined if camera else "",
        "{camera, }": f"{camera}, " if camera else "",
    }.items():
        text = text.replace(slot, value)
    return text


def misspell(text: str, rng: np.random.Generator, share: float) -> str:
    """Drop a letter of one word in a ``share`` of texts, so that spelling by pieces is learnt, too."""
    words = text.split(" ")
    i = int(rng.integers(len(words)))
    if rng.random() < share and len(words[i]) > 3:
        cut = int(rng.integers(1, len(words[i])))
        words[i] = words[i][:cut] + words[i][cut + 1 :]
    return " ".join(words)


def image_caption(scene: Scene, rng: np.random.Generator) -> str:
    """Describe a single frame of a scene: nothing moves in it."""
    if rng.random() < 0.2:
        return _pick(PLACES_ZH[scene.place], rng) + "的" + _pick(NOUNS_ZH[scene.object], rng)
    noun, place = _pick(NOUNS[scene.object], rng), _pick(PLACES[scene.place], rng)
    article = "an" if noun[0] in "aeiou" else "a"
    return _pick(
        ("an image of {0} {1} {2}", "{0} {1} {2}", "a picture of {0} {1} {2}", "a still image: {0} {1} {2}"), rng
    ).format(article, noun, place)


def vocabulary() -> tuple[str, ...]:
    """Pieces for the text encoder: every word of the captions, then letters, common pieces and Chinese characters."""
    words: dict[str, None] = {}
    texts = [t for group in (NOUNS, PLACES, MOTIONS, CAMERAS) for options in group.values() for t in options]
    texts += [*TEMPLATES, *WALKS, *RIDES, *FLIES, "an image picture still of a video that while ok"]
    texts += [
        t for group in (NOUNS_ZH, PLACES_ZH, MOTIONS_ZH, CAMERAS_ZH) for options in group.values() for t in options
    ]
    texts += ["走飞开的，。！？", ".,;:!?'\"()-"]
    for text in texts:
        for word in WORDS.findall(text.lower()):
            words.setdefault(word)
    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    pieces = [*words, *letters, *(f"#{c}" for c in letters), *(f"#{e}" for e in ENDINGS)]
    return tuple(dict.fromkeys(p for p in pieces if p not in "{}_"))


ENDINGS = (
    "s",
    "es",
    "ed",
    "ing",
    "er",
    "ly",
    "y",
    "th",
    "ch",
    "sh",
    "on",
    "an",
    "in",
    "at",
    "or",
    "ar",
    "en",
    "al",
    "le",
    "st",
    "nd",
)


def _chinese(scene: Scene, rng: np.random.Generator) -> str:
    noun, place = _pick(NOUNS_ZH[scene.object], rng), _pick(PLACES_ZH[scene.place], rng)
    go = "走" if scene.object in WALKERS else "飞" if scene.object in ("butterfly", "helicopter", "balloon") else "开"
    motion, camera = _pick(MOTIONS_ZH[scene.motion], rng).format(go=go), _pick(CAMERAS_ZH[scene.camera], rng)
    text = f"{noun}{place}{motion}" if rng.random() < 0.6 else f"{place}，{noun}{motion}"
    return f"{text}，{camera}" if camera else text


def _verbs(object_: str) -> tuple[str, ...]:
    if object_ in WALKERS:
        return WALKS
    return FLIES if object_ in ("butterfly", "helicopter", "balloon") else RIDES


def _pick(options: tuple[str, ...], rng: np.random.Generator) -> str:
    return options[int(rng.integers(len(options)))]
