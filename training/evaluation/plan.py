# SPDX-License-Identifier: GPL-3.0-or-later
"""What a table takes: the tasks of its rows, and the rows of their results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from ...models.checkpoint import Checkpoint, load_checkpoint
from ...models.vae import VideoVAE
from ..common import ROOT
from ..generator import Generator
from ..judges.nets import Judge, load_judge
from ..scenes.config import CONFIGS
from . import ask, joins, reconstruction, rollouts
from .joins import Filler, ModelFiller
from .makers import Model, Renders
from .options import DRIFT, JOINS, NAMES, Options
from .prompts import NEEDS, Prompt, draw_prompts
from .questions import QUESTIONS, Question
from .rollouts import LongVideo
from .table import Row, read_references, share_row
from .work import Task, fingerprint


def once(prompts: ask.Prompts) -> ask.Prompts:
    """The prompts without those that ask for the same scenes in other words: a render sees no words."""
    plain: dict[tuple[str, Any], Question] = {}
    for q in prompts:
        plain.setdefault((q.need, q.right), q)
    return {q: prompts[q] for q in plain.values()}


@dataclass
class Plan:
    """All that is measured for a table. Raises CheckpointError and RunError."""

    options: Options

    def __post_init__(self) -> None:
        o = self.options
        self.judge: Judge = load_judge(o.judge)
        self.checkpoint = None if o.renders else load_checkpoint(o.checkpoint)
        self.world = CONFIGS[o.world]()
        self.references_known = None if o.references is None else read_references(o.references)
        text = None if self.checkpoint is None else self.checkpoint.text_config
        self.limit = 80 if text is None else text.length
        chosen = [q for q in QUESTIONS if o.wants(q.row)]
        lacking = {q: NEEDS[q.need].lacks(self.world) for q in QUESTIONS}
        self.reasons = {q: lacking[q] for q in chosen}
        possible = [q for q in QUESTIONS if not lacking[q]]  # of all rows: a row's prompts are always the same
        drawn = ask.draw_all(possible, self.world, o.samples, self.limit)
        self.prompts = {q: own for q, own in drawn.items() if own and o.wants(q.row)}
        for q in chosen:
            if not self.reasons[q] and q not in self.prompts:
                self.reasons[q] = "no held-out scene of this world has it"
        self.operations = [k for k in JOINS if o.wants(f"{k} seam") or o.wants(f"{k} content")]
        self.gaps: list[Prompt] = draw_prompts(joins.MOVING, self.world, o.samples, limit=self.limit)
        rolls = o.rollouts if any(o.wants(f"drift over {s} s") for s in DRIFT) else 0
        self.rolled = rollouts.drift_prompts(self.world, rolls, self.limit) if rolls else []
        asked = {q.row: own for q, own in self.prompts.items()} | {"gaps": self.gaps, "rolled": self.rolled}
        scenes, texts = ([[getattr(p, part) for p in own] for own in asked.values()] for part in ("scene", "text"))
        sources = [p for part in NAMES for p in sorted((ROOT / "training" / part).rglob("*.py"))]
        common = (*sources, o.judge, self.world, list(asked), scenes, o.samples)
        self.own: Path = o.work / f"renders-{fingerprint(*common)}"
        self.references: Path = self.own
        if not o.renders:
            models = [*sorted((ROOT / "models").rglob("*.py")), ROOT / "training" / "generator.py"]
            key = fingerprint(*common, texts, *models, o.checkpoint, o.steps, o.guidance)
            self.own = o.work / f"{o.checkpoint.stem}-{key}"
        self.rebuilt: Path = self.own if self.checkpoint is None else o.work / f"vae-{self._of_vae(self.checkpoint)}"

    def _of_vae(self, checkpoint: Checkpoint) -> str:
        """A name for all that the VAE's rows depend on: a new transformer leaves them as they are."""
        folder, weights = ROOT / "training", checkpoint.vae or {}
        sources = [*sorted((folder / "scenes").rglob("*.py")), folder / "evaluate_vae.py", ROOT / "models" / "vae.py"]
        sources += [folder / "evaluation" / name for name in ("reconstruction.py", "prompts.py")]
        tensors = [part for name in sorted(weights) for part in (name, weights[name])]
        return fingerprint(*sources, self.world, self.options.samples, checkpoint.vae_config, *tensors)

    @cached_property
    def _model(self) -> Model:
        assert self.checkpoint is not None
        return Model(Generator.of(self.checkpoint), self.options.steps, self.options.guidance)

    def model(self) -> Model:
        """The checkpoint, built when it is wanted first."""
        return self._model

    def vae(self) -> VideoVAE:
        """The checkpoint's VAE."""
        return self._model.generator.vae

    @property
    def sizes(self) -> Sequence[tuple[int, int]]:
        """The sizes at which the VAE is measured."""
        if self.checkpoint is None or not self.options.wants("VAE reconstruction"):
            return ()
        return reconstruction.SIZES[:2] if self.options.quick else reconstruction.SIZES

    def tasks(self) -> list[Task]:
        """Everything to measure, what is judged first and the longest before the shorter ones."""
        o, judge, world = self.options, self.judge, self.world
        out: list[Task] = []
        if self.references_known is None or o.renders:
            out += ask.tasks(Renders, judge, once(self.prompts), world, self.references, "renders")
            out += ask.control_tasks(judge, once(self.prompts), world, self.references, max(12, o.samples // 2))
        for kind in self.operations:
            fillers = {name: partial(_same, filler) for name, filler in joins.REFERENCES.items()}
            out += joins.join_tasks(kind, self.gaps, fillers, judge, world, self.references)
        out += rollouts.drift_tasks(None, self.rolled, DRIFT, judge, world, self.references)
        if self.checkpoint is None:
            return out
        out += rollouts.drift_tasks(self.long_video, self.rolled, DRIFT, judge, world, self.own)
        out += ask.tasks(self.model, judge, self.prompts, world, self.own, "clips")
        for kind in self.operations:
            out += joins.join_tasks(kind, self.gaps, {"made": self.filler}, judge, world, self.own)
        if self.sizes:
            out += reconstruction.size_tasks(self.vae, world, o.samples, self.sizes, self.rebuilt)
            out += reconstruction.clip_tasks(self.vae, o.clips, self.rebuilt)
        return out

    def filler(self) -> Filler:
        """The checkpoint with the edits that the nodes make."""
        return ModelFiller(self._model)

    def long_video(self) -> LongVideo:
        """The checkpoint, as Long Video rolls it out."""
        return LongVideo(self._model)

    def rows(self, found: Mapping[Path, Mapping[str, Any]]) -> list[Row]:
        """The table, from the results of all tasks."""
        own, references = found.get(self.own, {}), found.get(self.references, {})
        rows = self._asked_rows(own, references)
        for kind in self.operations:
            rows += joins.join_rows(kind, own if self.checkpoint else _truths(references), references, self.world)
        if self.rolled:
            rows += rollouts.drift_rows(own if self.checkpoint else None, references, DRIFT, self.world)
        else:
            rows += [Row(f"drift over {s} s", note="absent: no roll-outs in this run, see --rollouts") for s in DRIFT]
        if self.sizes:
            rebuilt = found.get(self.rebuilt, {})
            rows += reconstruction.size_rows(rebuilt, self.sizes)
            rows += reconstruction.clip_rows(rebuilt, self.options.clips)
        return [r for r in rows if self.options.wants(r.row)]

    def _asked_rows(self, own: Mapping[str, Any], references: Mapping[str, Any]) -> list[Row]:
        """The rows whose questions a clip answers."""
        real = ask.answers(references, "renders")
        answers = ask.answers(own, "clips") if self.checkpoint else real
        rows = []
        for q, reason in self.reasons.items():
            if reason:
                rows.append(Row(q.row, note=f"absent: {reason}"))
                continue
            same = next(o for o in self.prompts if (o.need, o.right) == (q.need, q.right)).row
            if self.references_known is None:
                against = ask.answers(references, f"control of {same}")
                known = _mean(real[same].right), _mean(against[same].right if against else ())
            else:
                known = self.references_known.get(q.row, (None, None))
            mine = answers[q.row if self.checkpoint else same]
            figures = {"ceiling": known[0], "floor": _mean(mine.shuffled), "control": known[1]}
            rows.append(share_row(q.row, mine.right, **figures, chance=q.chance(self.world), note=q.note))
        return rows


def _same(filler: Filler) -> Filler:
    return filler


def _truths(references: Mapping[str, Any]) -> dict[str, Any]:
    """The results of operations with the truth alone."""
    return {t: {"truth": r["truth"]} for t, r in references.items() if isinstance(r, dict) and "truth" in r}


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if len(values) else None
