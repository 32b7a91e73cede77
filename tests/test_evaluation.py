# SPDX-License-Identifier: GPL-3.0-or-later
"""``./spacetime evaluate``: intervals, prompts, makers, and the table from a tiny random model."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from scene_kit import drawn_sprites
from tiny import write_tiny_checkpoint

pytest.importorskip("cv2", reason="training needs opencv: pip install '.[training]'")

from comfyui_spacetime.host import evaluate, train
from comfyui_spacetime.training.evaluation import (
    ask,
    command,
    intervals,
    joins,
    makers,
    options,
    plan,
    prompts,
    questions,
    reconstruction,
    table,
    work,
)
from comfyui_spacetime.training.judges import nets, sight
from comfyui_spacetime.training.judges.motion import jumps
from comfyui_spacetime.training.scenes.config import full, nano, simple
from comfyui_spacetime.training.scenes.draw import held_out
from comfyui_spacetime.training.scenes.sprites import sprite_folder

drawn = pytest.mark.usefixtures(drawn_sprites.__name__)


def test_wilsons_interval_is_the_textbooks():
    assert intervals.wilson(5, 10) == pytest.approx((0.2366, 0.7634), abs=1e-4)
    assert intervals.wilson(0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)
    assert intervals.wilson(200, 200)[0] > 0.98
    assert intervals.wilson(0, 0) == (0.0, 1.0)


def test_the_bootstrap_holds_the_mean_and_shrinks_with_the_sample():
    values = np.random.default_rng(0).normal(3, 1, 400)
    few, many = intervals.bootstrap(values[:25]), intervals.bootstrap(values)
    assert many[0] < 3 < many[1] and many[1] - many[0] < few[1] - few[0]
    assert intervals.bootstrap([2.0, 2.0, 2.0]) == (2.0, 2.0)


def test_a_row_of_shares_is_in_percent_with_all_that_the_issue_asks_for():
    row = table.share_row("object", [1.0, 1.0, 0.0, 1.0], ceiling=0.99, floor=0.05, control=0.06, chance=0.0625)
    found = row.to_dict()
    assert {"row", "value", "unit", "low", "high", "samples", "ceiling", "floor"} <= set(found)
    assert (found["value"], found["unit"], found["samples"], found["ceiling"]) == (75.0, "%", 4, 99.0)
    assert found["low"] < 75 < found["high"]


@pytest.mark.parametrize(
    ("ceiling", "control", "verdict"), [(0.99, 0.1, "passes"), (0.95, 0.1, "fails"), (1.0, 0.4, "fails")]
)
def test_a_judge_counts_only_where_it_reads_renders_and_not_the_control(ceiling, control, verdict):
    row = table.share_row("object", [1.0], ceiling=ceiling, control=control, chance=0.0625)
    assert row.judge == verdict


def test_a_row_that_cannot_be_had_says_why():
    text = table.markdown([table.Row("count", note="absent: this world has one of each thing only")])
    assert "| count |" in text and "| absent |" in text and "- count: absent: this world" in text


@pytest.mark.parametrize("name", list(prompts.NEEDS))
def test_every_row_gets_held_out_scenes_of_its_kind(name):
    need, world = prompts.NEEDS[name], full()
    scenes = prompts.draw_scenes(need, world, 5)
    assert len(scenes) == 5 and all(need.wanted(s) for s in scenes)
    assert all(held_out(*c) for s in scenes for c in s.combinations)


def narrow():
    """A world of one thing at a time in which nothing happens."""
    return replace(simple(nano()), counts=(1,), looks=("natural",), events=(), colour=0.0)


def test_a_narrow_world_says_what_it_lacks():
    lacking = {name for name, need in prompts.NEEDS.items() if need.lacks(narrow())}
    assert lacking == set(prompts.NEEDS) - {"plain", "clear", "directed", "camera"}


@pytest.mark.parametrize("name", list(prompts.NEEDS))
def test_the_nano_world_lacks_nothing(name):
    need = prompts.NEEDS[name]
    assert not need.lacks(nano()) and len(prompts.draw_scenes(need, nano(), 5)) == 5


def test_chinese_prompts_and_free_wording_ask_for_the_same_scenes():
    asked = {w: prompts.draw_prompts(prompts.Need(), nano(), 6, w) for w in ("English", "Chinese", "free")}
    assert len({tuple(p.scene for p in own) for own in asked.values()}) == 1
    assert all(any("\u4e00" <= c <= "\u9fff" for c in p.text) for p in asked["Chinese"])
    assert all(p.text.isascii() for p in asked["English"])


ROWS = ("motion", "camera", "English prompts")


def test_a_prompt_that_two_rows_ask_for_is_made_once():
    chosen = [q for q in questions.QUESTIONS if q.row in ROWS]
    drawn = ask.draw_all(chosen, nano(), 5, 80)
    motion, camera, english = (next(own for q, own in drawn.items() if q.row == row) for row in ROWS)
    assert motion == english and set(motion) & set(camera)


def plain(count=3, name="plain"):
    return prompts.draw_prompts(prompts.NEEDS[name], full(), count)


@drawn
def test_shuffled_frames_are_the_same_frames():
    own = plain(1)
    real, mixed = (next(iter(m(own))) for m in (makers.Renders(), makers.Shuffled(makers.Renders())))
    assert not np.array_equal(real, mixed)
    assert sorted(f.sum() for f in real.astype(int)) == sorted(f.sum() for f in mixed.astype(int))


@drawn
def test_what_is_undone_ends_as_it_began():
    clip = next(iter(makers.Undone(makers.Renders())(plain(1))))
    assert len(clip) == 17 and np.array_equal(clip[0], clip[-1]) and not np.array_equal(clip[0], clip[8])


@pytest.mark.parametrize(
    ("change", "name", "look"),
    [
        (makers.other("place"), "plain", lambda s: s.shots[0].place),
        (makers.other("light"), "plain", lambda s: s.shots[0].light),
        (makers.other_look, "look", lambda s: s.look),
        (makers.other_colour, "colour", lambda s: s.shots[0].actors[0].colour),
        (makers.other_count, "count", lambda s: s.shots[0].actors[0].count),
        (makers.other_noun, "occlusion", lambda s: s.shots[0].actors[0].noun),
    ],
)
def test_a_changed_scene_is_not_what_the_prompt_says(change, name, look):
    for p in plain(4, name):
        assert look(change(p.scene, np.random.default_rng(0), full())) != look(p.scene)


def asked(row, count):
    """The question of a row, and prompts of the nano world for it."""
    question = next(q for q in questions.QUESTIONS if q.row == row)
    return question, prompts.draw_prompts(prompts.NEEDS[question.need], nano(), count)


@pytest.mark.parametrize(
    "row", ["motion", "permanence after occlusion", "permanence after leaving the frame", "event persistence"]
)
@pytest.mark.skipif(not (sprite_folder() / "1f332.webp").exists(), reason="./spacetime train sprites was not run")
def test_the_judges_tell_what_happens_from_what_only_looks_like_it(row):
    question, own = asked(row, 10)
    judge = nets.load_judge()
    for made, least, most in ((makers.Renders(), 0.9, 1.0), (question.control(nano()), 0.0, 0.1)):
        clips = zip(own, made(own), strict=True)
        right = [question.right(sight.Sight(judge, clip, p.fps), p.scene, nano()) for p, clip in clips]
        assert least <= np.mean(right) <= most


class Told:
    """A sight of one thing whose likeness and place (0..1 across) are told for each frame."""

    def __init__(self, alike, across):
        self.clip, self.alike, self.across = np.zeros((len(alike), 32, 32, 3), np.uint8), alike, across

    def spotted(self, noun, first=0, end=None, count=3):
        seen = [k for k in range(first, len(self.clip) if end is None else end) if self.alike[k] > 0]
        chosen = [seen[int(i)] for i in np.linspace(0, len(seen) - 1, min(count, len(seen))).round()]
        return [sight.Spot(k, self.thing(k), self.alike[k]) for k in chosen]

    def thing(self, k):
        x = self.across[k]
        return sight.Thing((x - 0.1, 0.4, x + 0.1, 0.6), np.ones((4, 4), bool))

    def shapes(self, places):
        return self

    def noun(self, options):
        return self.noun_there


def permanence(row, alike, across):
    question, (p, *_) = asked(f"permanence after {row}", 1)
    told, actor = Told(alike, across), p.scene.shots[0].actors[0]
    told.noun_there = actor.noun
    if "left" in actor.motions[:1]:
        told.across = [1 - x for x in across]
    return question.right(told, p.scene, nano())


def without(frames):
    return [0.0 if k in frames else 0.8 for k in range(33)]


def test_a_flicker_is_no_absence():
    through = list(np.linspace(0.1, 0.9, 33))
    assert [permanence("occlusion", without(range(14, 14 + n)), through) for n in (1, 2, 3, 8)] == [0.0, 0.0, 1.0, 1.0]


def test_what_leaves_goes_out_and_comes_in_by_its_side():
    away = without(range(12, 20))
    there_and_back = [*np.linspace(0.4, 0.95, 16), *np.linspace(0.95, 0.4, 17)]
    assert permanence("leaving the frame", away, there_and_back) == 1.0
    assert permanence("leaving the frame", away, [0.5] * 33) == 0.0
    assert permanence("leaving the frame", away, [1 - x for x in there_and_back]) == 0.0


@drawn
def test_controls_leave_the_event_out_and_what_vanishes_stays_away():
    p = next(p for p in asked("event persistence", 12)[1] if p.scene.shots[0].weather == "clear")
    assert makers.uneventful(p.scene).shots[0].event is None
    gone, aside, flicker = (next(m([p])) for m in (makers.Vanishing(), makers.Elsewhere(), makers.Flickering()))
    half = p.frames // 2
    for clip in (gone, aside):
        assert len(clip) == p.frames and jumps(clip).argmax() == half - 1
    assert 5 * jumps(gone[half:]).max() < jumps(gone)[half - 1]
    assert np.array_equal(flicker[half], gone[half]) and np.array_equal(flicker[:half], gone[:half])
    assert np.abs(flicker[half + 1].astype(int) - flicker[half - 1]).mean() < 2


def test_makers_take_turns_by_the_prompts_seed():
    own = prompts.draw_prompts(prompts.Need(), nano(), 6)
    turns = makers.in_turn(*(lambda ps, k=k: iter([np.full(1, k)]) for k in range(3)))
    assert [int(clip[0]) for clip in turns(own)] == [p.seed % 3 for p in own]


def test_real_videos_count_as_many_times_as_there_are_of_them(tmp_path):
    paths = [tmp_path / name for name in ("long.mp4", "short.mp4")]
    found = {}
    for path, parts in zip(paths, ([30.0, 20.0, 10.0], [40.0]), strict=True):
        path.write_bytes(path.name.encode())
        values = [[[x, x / 100], [x / 2, 0.0]] for x in parts]
        found[f"clip {path.name} {work.fingerprint(path)}"] = values
    row = reconstruction.clip_rows(found, paths)[0]
    assert (row.value, row.floor, row.samples, row.low) == (30.0, 15.0, 2, None)
    assert "long.mp4 20.00, short.mp4 40.00" in row.note


@drawn
def test_a_model_with_shuffled_text_is_the_same_clips_held_against_other_prompts(tmp_path):
    """A question that only the right scene satisfies: always right, and never with shuffled text."""
    shown = {}

    class Remembering(makers.Renders):
        def __call__(self, asked):
            for p, clip in zip(asked, super().__call__(asked), strict=True):
                shown[clip.tobytes()] = p.scene
                yield clip

    question = questions.Question(
        *("which", "plain", lambda s, scene, world: float(shown[s.clip.tobytes()] == scene)),
        *(lambda world: 0.0, lambda world: makers.Others()),
    )
    own = prompts.draw_prompts(prompts.Need(), nano(), 4)
    tasks = ask.tasks(Remembering, nets.Judge(), {question: own}, nano(), tmp_path, "test")
    found = work.work_together(tasks, (), "")[tmp_path]
    answers = ask.answers(found, "test")["which"]
    assert answers.right == [1.0] * 4 and answers.shuffled == [0.0] * 12


@pytest.mark.parametrize("kind", options.JOINS)
@drawn
def test_the_worlds_own_frames_have_no_seam_and_a_cut_has_one(kind):
    gaps = list(joins.gaps_of(kind, prompts.draw_prompts(joins.MOVING, nano(), 3)))
    real = [joins.seam(g, m) for g, m in zip(gaps, joins.truth(gaps), strict=True)]
    cuts = [joins.seam(g, m) for g, m in zip(gaps, joins.hard_cuts(gaps), strict=True)]
    assert max(real) < 1.5 < min(cuts) and 1.5 * max(real) < np.mean(cuts)
    assert all(len(g.truth) == g.made == joins.MADE for g in gaps)


@drawn
def test_a_loop_closes():
    gap = next(joins.gaps_of("loop", prompts.draw_prompts(joins.MOVING, nano(), 1)))
    whole = np.concatenate([gap.before, gap.truth, gap.after])
    period = 2 * joins.MADE - 2
    assert np.array_equal(whole[:-period], whole[period:]) and len(whole) > period


@pytest.fixture
def random_judge(tmp_path):
    nets.save_judge(nets.Judge().state_dict(), tmp_path / "judge.safetensors", "random")
    return tmp_path / "judge.safetensors"


@drawn
def test_a_quick_run_of_a_tiny_random_model_gives_the_whole_table(random_judge, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(plan, "DRIFT", (4, 6))
    monkeypatch.setattr(plan, "CONFIGS", {"nano": narrow})
    monkeypatch.setattr(sight, "LIKELY", 1)  # a random judge names nothing: few pictures are compared
    monkeypatch.setattr(sight, "TURNED", 1)
    checkpoint, out = write_tiny_checkpoint(tmp_path / "tiny.safetensors"), tmp_path / "table.json"
    words = ["--checkpoint", checkpoint, "--judge", random_judge, "--json", out, "--samples", 2, "--steps", 1]
    words += ["--work", tmp_path / "work", "--processes", 1, "--rollouts", 1, "--quick"]
    command.main([str(w) for w in words])
    rows = {row["row"]: row for row in json.loads(out.read_text(encoding="utf-8"))["rows"]}
    named = {q.row for q in questions.QUESTIONS}
    named |= {f"{kind} {what}" for kind in options.JOINS for what in ("seam", "content")}
    assert named | {"drift over 4 s", "drift over 6 s", "VAE reconstruction 256x256"} <= set(rows)
    assert rows["object"]["samples"] == 2 and 0 <= rows["object"]["value"] <= 100
    assert rows["count"]["value"] is None and "one of each thing" in rows["count"]["note"]
    assert rows["extension seam"]["value"] > 0 and rows["extension seam"]["unit"] == "x own motion"
    assert "| object |" in capsys.readouterr().out
    monkeypatch.setattr(ask, "_measure", pytest.fail)  # asked for again, nothing is measured again
    out.unlink()
    command.main([str(w) for w in words])
    assert {row["row"]: row for row in json.loads(out.read_text(encoding="utf-8"))["rows"]} == rows


@drawn
def test_a_new_transformer_with_the_same_vae_leaves_the_vaes_results_as_they_are(random_judge, tmp_path, monkeypatch):
    monkeypatch.setattr(plan, "CONFIGS", {"nano": narrow})
    words = ["--judge", str(random_judge), "--samples", "1", "--work", str(tmp_path), "--rows", "VAE", "--checkpoint"]
    path = write_tiny_checkpoint(tmp_path / "tiny.safetensors")
    one = plan.Plan(options.read_options([*words, str(path)]))
    change(path, "dit.")
    new_transformer = plan.Plan(options.read_options([*words, str(path)]))
    change(path, "vae.")
    new_vae = plan.Plan(options.read_options([*words, str(path)]))
    assert one.rebuilt == new_transformer.rebuilt != new_vae.rebuilt and one.own != new_transformer.own


def change(path: Path, prefix: str) -> None:
    """Change the first weight of a part of a checkpoint."""
    tensors = load_file(path)
    with safe_open(path, "pt") as file:
        about = file.metadata()
    name = next(n for n in sorted(tensors) if n.startswith(prefix) and tensors[n].is_floating_point())
    tensors[name] = tensors[name] + 0.5
    save_file(tensors, path, metadata=about)


def test_ceilings_and_controls_come_from_a_table_written_before(tmp_path):
    rows = [
        table.share_row("object", [1.0, 0.0], ceiling=0.99, control=0.05, chance=0.0625),
        table.Row("count", note="absent"),
        table.Row("loop seam", 1.5, "x own motion"),
    ]
    table.write_json(tmp_path / "table.json", rows, {})
    found = table.read_references(tmp_path / "table.json")
    assert found == {"object": (pytest.approx(0.99), pytest.approx(0.05)), "count": (None, None)}
    (tmp_path / "other.json").write_text("[]", encoding="utf-8")
    with pytest.raises(table.RunError, match=r"other\.json is no table"):
        table.read_references(tmp_path / "other.json")


def test_the_table_of_a_model_card_is_written_anew_and_the_rest_stays(tmp_path):
    card = tmp_path / "card.md"
    card.write_text(f"# Figures\n{table.CARD[0]}\nold\n{table.CARD[1]}\n## Limits\n", encoding="utf-8")
    for words in ("first", "second"):
        table.write_card(card, words)
    assert card.read_text(encoding="utf-8") == f"# Figures\n{table.CARD[0]}\n\nsecond\n\n{table.CARD[1]}\n## Limits\n"
    (tmp_path / "other.md").write_text("# Figures\n", encoding="utf-8")
    with pytest.raises(table.RunError, match=r"other\.md has no place for the table"):
        table.read_card(tmp_path / "other.md")


def test_a_card_takes_the_whole_table_only(capsys):
    with pytest.raises(SystemExit):
        options.read_options(["--card", "card.md", "--rows", "object"])
    assert "--card takes the whole table" in capsys.readouterr().err


def test_what_a_stopped_process_left_is_kept_and_the_rest_is_measured(tmp_path):
    made = []
    tasks = [work.Task(tmp_path, f"task {k}", lambda k=k: made.append(k) or k * k) for k in range(4)]
    (tmp_path / "claims").mkdir()
    (tmp_path / "claims" / "task%201").touch()  # somebody began it and was stopped
    (tmp_path / "part-1.jsonl").write_text('\n{"task": "task 2", "result": 4}\n{"task": "task 3", "res')
    found = work.work_together(tasks, (), "")
    assert found == {tmp_path: {f"task {k}": k * k for k in range(4)}} and made == [0, 1, 3]


def test_two_processes_share_the_work(tmp_path):
    tasks = [work.Task(tmp_path, f"task {k}", lambda k=k: k) for k in range(3)]
    (tmp_path / "claims").mkdir()
    work.work(tasks[:2], 1)
    work.work(tasks, 0)
    assert work.results(tmp_path) == {"task 0": 0, "task 1": 1, "task 2": 2}
    assert (tmp_path / "part-0.jsonl").read_text().count("result") == 1


def test_a_clip_serves_many_rows():
    world = narrow()
    drawn = ask.draw_all([q for q in questions.QUESTIONS if not prompts.NEEDS[q.need].lacks(world)], world, 20, 80)
    english = {q.row: own for q, own in drawn.items() if q.wording == "English"}
    assert all(len(own) == 20 for own in english.values())
    assert len({p for own in english.values() for p in own}) < 60
    asked = Counter(p.scene.shots[0].actors[0].motions[0] for p in english["motion"])
    assert set(asked) == set(nano().motions) and set(asked.values()) == {2}
    assert [p.scene for q, own in drawn.items() if q.wording == "Chinese" for p in own] == [
        p.scene for p in english["motion"]
    ]


def test_a_real_clip_is_read_in_overlapping_runs_and_all_its_blocks(monkeypatch):
    clip = np.random.default_rng(0).integers(0, 256, (40, 270, 530, 3), dtype=np.uint8)
    monkeypatch.setattr(reconstruction, "read_frames", lambda path: iter(clip))
    found = list(reconstruction.real_clips(Path("a.mp4"), 16))
    assert len(found) == 3 * 2 and {f.shape for f in found} == {(17, 256, 256, 3)}
    assert np.array_equal(found[0], clip[:17, 7:263, 9:265]) and np.array_equal(found[3], clip[8:25, 7:263, 265:521])
    small = list(reconstruction.blocks(clip[:17, :144, :190], 16))
    assert [block.shape for block in small] == [(17, 144, 176, 3)]


def test_a_row_has_as_many_roll_outs_as_samples_unless_asked_otherwise():
    assert [options.read_options(words.split()).rollouts for words in ("", "--samples 50", "--quick")] == [200, 50, 0]
    assert options.read_options(["--quick", "--rollouts", "3"]).rollouts == 3


def test_no_samples_are_refused(capsys):
    with pytest.raises(SystemExit) as error:
        options.read_options(["--samples", "0"])
    assert error.value.code == 2 and "--samples 0: must be at least 1" in capsys.readouterr().err


def test_the_command_line_hands_its_options_on(monkeypatch):
    commands = []

    def run(words, **_more):
        commands.append(words)
        return type("Done", (), {"returncode": 0})()

    monkeypatch.setattr(evaluate.subprocess, "run", run)
    monkeypatch.setattr(train, "install_training_packages", lambda: None)
    monkeypatch.setattr(train, "require_pictures", lambda arguments: None)
    assert CliRunner().invoke(evaluate.evaluate_command, ["--quick", "--world", "full"]).exit_code == 0
    assert commands[0][-4:] == ["training.evaluation.command", "--quick", "--world", "full"]
