# SPDX-License-Identifier: GPL-3.0-or-later
"""The training loop: schedule, saved steps, what stops it, and that a stopped run goes on as if it had not been."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest
import torch
from torch import nn

pytest.importorskip("cv2", reason="training needs opencv: pip install '.[training]'")

from training_kit import ROOT, losses, train, write_made_up_latents, write_tiny_config

from comfyui_spacetime.training import saves
from comfyui_spacetime.training.run import Part, Run
from comfyui_spacetime.training.saves import RunError, facts, latest, load_step
from comfyui_spacetime.training.settings import Schedule


class Line(Part):
    """Learns to copy; ``spoil`` says at which batches the loss is not a number."""

    name, unit, adam_only = "line", "points", ()

    def __init__(self, spoil=lambda count: False, size=8):
        torch.manual_seed(0)
        self.module, self.spoil, self.drawn, self.size = nn.Linear(size, size), spoil, 0, size

    def loss(self, rng, progress):
        self.drawn += 1
        x = torch.randn(16, self.size)
        loss = (self.module(x) - x).square().mean()
        return (loss * float("nan") if self.spoil(self.drawn) else loss), 16

    def validate(self):
        x = torch.eye(self.size)
        with torch.no_grad():
            error = (self.module(x) - x).square().mean()
        return {"validation": float(error)}

    def strips(self):
        return {}

    def about(self):
        return {"line": {"size": [self.size]}}


def schedule(**changes):
    return Schedule(**{"steps": 12, "warmup": 1, "save_every": 5, "sample_every": 0, "log_every": 1, **changes})


def weights(step):
    module = nn.Linear(8, 8)
    load_step(step, {f"model.{k}": v for k, v in module.state_dict().items()})
    return module.weight


def test_a_run_learns_saves_its_last_step_and_keeps_two(tmp_path):
    part = Line()
    before = part.validate()["validation"]
    Run(part, schedule(steps=40), tmp_path).go()
    assert [path.name for path in sorted(tmp_path.glob("step-*"))] == ["step-00000035", "step-00000040"]
    assert part.validate()["validation"] < before / 2
    about = facts(latest(tmp_path))
    assert about["step"] == 40 and about["line"] == {"size": [8]}


def test_a_stopped_run_goes_on_bit_for_bit(tmp_path):
    Run(Line(), schedule(), tmp_path / "whole").go()
    Run(Line(), schedule(stop_at=7), tmp_path / "parts").go()
    Run(Line(), schedule(), tmp_path / "parts").go()
    assert losses(tmp_path / "whole") == losses(tmp_path / "parts")
    assert torch.equal(weights(latest(tmp_path / "whole")), weights(latest(tmp_path / "parts")))


def test_two_batches_in_a_step_are_the_mean_of_both(tmp_path):
    run = Run(Line(), schedule(batches=2), tmp_path)
    run.train(0.0, 0.0)
    assert run.part.drawn == 2


def test_a_step_that_is_not_finite_is_skipped_counted_and_leaves_no_trace(tmp_path):
    part = Line(spoil=lambda count: count == 2)
    run = Run(part, schedule(), tmp_path)
    run.train(0.0, 1.0)
    before, average = part.module.weight.clone(), run.average.values["weight"].clone()
    run.train(0.0, 1.0)
    assert run.optimisers.skipped == 1 and run.step == 2
    assert torch.equal(part.module.weight, before) and torch.equal(run.average.values["weight"], average)


class Normed(Line):
    """Learns behind a BatchNorm; where it is spoilt the clips are not numbers, and so are its statistics."""

    def __init__(self, spoil):
        super().__init__()
        self.module, self.spoil = nn.Sequential(nn.BatchNorm1d(8), nn.Linear(8, 8)), spoil

    def loss(self, rng, progress):
        self.drawn += 1
        x = torch.randn(16, 8) * (float("nan") if self.spoil(self.drawn) else 1)
        return (self.module(x) - x).square().mean(), 16


def test_a_step_that_is_not_finite_leaves_no_trace_in_the_statistics_of_a_batchnorm(tmp_path):
    run = Run(Normed(spoil=lambda count: count == 4), schedule(batches=2), tmp_path)
    run.train(0.0, 1.0)
    before = {name: value.clone() for name, value in run.tensors().items()}
    assert not torch.equal(before["model.0.running_mean"], torch.zeros(8)), "they are learnt"
    run.train(0.0, 1.0)
    assert run.optimisers.skipped == 1
    assert all(torch.equal(value, before[name]) for name, value in run.tensors().items())
    run.train(0.0, 1.0)
    assert all(value.isfinite().all() for value in run.tensors().values())


def test_a_run_that_is_never_finite_again_stops_and_says_so(tmp_path):
    with pytest.raises(RunError, match="50 steps in a row were not finite"):
        Run(Line(spoil=lambda count: count > 5), schedule(steps=99), tmp_path).go()
    assert latest(tmp_path).name == "step-00000050"


def test_validation_uses_the_average_and_gives_the_weights_back(tmp_path):
    run = Run(Line(), schedule(), tmp_path)
    for _ in range(3):
        run.train(0.0, 1.0)
    own = run.part.module.weight.clone()
    scored = run.validate()
    assert torch.equal(run.part.module.weight, own)
    with run.average.within(run.part.module):
        assert run.part.validate() == scored != {}
        assert not torch.equal(run.part.module.weight, own)


def test_ctrl_c_finishes_the_step_and_saves(tmp_path):
    part = Line(spoil=lambda count: count == 7 and signal.raise_signal(signal.SIGINT))
    Run(part, schedule(), tmp_path).go()
    assert latest(tmp_path).name == "step-00000007"


def test_an_interrupted_write_leaves_the_older_step(tmp_path, monkeypatch):
    run = Run(Line(), schedule(), tmp_path)
    run.train(0.0, 1.0)
    run.save()
    whole = weights(latest(tmp_path))

    def half(tensors, folder):
        (folder / "__0_0.distcp").write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(saves, "_write", half)
    run.train(0.0, 1.0)
    with pytest.raises(RunError, match=r"No space left.*the last whole one is step-00000001: free some space"):
        run.save()
    assert torch.equal(weights(latest(tmp_path)), whole)
    assert [path.name for path in tmp_path.glob("step-*")] == ["step-00000001"]


def test_a_folder_that_a_killed_process_left_is_not_taken_for_a_step(tmp_path):
    Run(Line(), schedule(), tmp_path).go()
    (tmp_path / "step-00000099.tmp").mkdir()
    (tmp_path / "step-00000099.tmp" / "__0_0.distcp").write_bytes(b"half")
    assert latest(tmp_path).name == "step-00000012"


def test_a_run_of_another_size_is_refused_and_not_touched(tmp_path):
    Run(Line(), schedule(), tmp_path).go()
    with pytest.raises(RunError, match="was trained with another line config; give another --out"):
        Run(Line(size=9), schedule(), tmp_path).go()
    assert latest(tmp_path).name == "step-00000012"


def test_a_damaged_step_is_named(tmp_path):
    Run(Line(), schedule(), tmp_path).go()
    for path in latest(tmp_path).glob("*.distcp"):
        path.write_bytes(b"")
    with pytest.raises(RunError, match="step-00000012 does not fit this run"):
        Run(Line(), schedule(), tmp_path).go()


def test_batches_that_cannot_be_dealt_out_are_refused(tmp_path):
    from comfyui_spacetime.training.parallel import Processes

    with pytest.raises(RunError, match="batches = 3 cannot be dealt out to 2 processes"):
        Run(Line(), schedule(batches=3), tmp_path, Processes(0, 2))


@pytest.mark.slow
def test_the_transformer_goes_on_in_a_new_process_bit_for_bit(tmp_path):
    for out, *changes in (("whole",), ("parts", "stop_at=3"), ("parts",)):
        done = train(tmp_path, out, "steps=6", *changes)
        assert done.returncode == 0, done.stderr
    assert "dit goes on from" in done.stderr
    assert losses(tmp_path / "whole") == losses(tmp_path / "parts")
    about = facts(latest(tmp_path / "whole"))
    assert {**about, "spent": 0} == {**facts(latest(tmp_path / "parts")), "spent": 0}
    whole, parts = (every_tensor(latest(tmp_path / out)) for out in ("whole", "parts"))
    assert whole.keys() == parts.keys() and all(torch.equal(whole[k], parts[k]) for k in whole)


def every_tensor(step):
    """All that a saved step holds, by name."""
    from torch.distributed.checkpoint import FileSystemReader

    entries = FileSystemReader(step).read_metadata().state_dict_metadata
    tensors = {k: torch.empty(m.size, dtype=m.properties.dtype) for k, m in entries.items()}
    load_step(step, tensors)
    assert {k.split(".")[0] for k in tensors} == {"model", "average", "muon", "adam"}
    return tensors


FULL_DISK = """
import resource, runpy, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on file sizes")
def test_a_full_disk_stops_with_the_last_step_intact(tmp_path):
    assert train(tmp_path, "run", "steps=6", "stop_at=3").returncode == 0
    command = [sys.executable, "-c", FULL_DISK, str(ROOT / "host" / "entry.py"), "training.train_dit"]
    command += ["--config", str(tmp_path / "tiny.toml"), "--out", str(tmp_path / "run")]
    command += ["--set", f"latents={tmp_path / 'latents'}", "--set", "steps=6"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "could not be written" in done.stderr and "the last whole one is step-00000003" in done.stderr
    assert "Traceback" not in done.stderr
    assert [path.name for path in (tmp_path / "run").glob("step-*")] == ["step-00000003"]
    assert train(tmp_path, "run", "steps=6").returncode == 0


def test_the_log_is_a_line_of_json_for_every_line_shown(tmp_path):
    Run(Line(), schedule(), tmp_path).go()
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "validation" in line] == [5, 10, 12]
    assert {"loss", "points/s", "learning rate", "skipped"} < lines[0].keys()


class Recorder:
    """Stands in for TensorBoard's writer."""

    def __init__(self):
        self.scalars, self.images, self.closed = {}, {}, False

    def add_scalar(self, name, value, step):
        self.scalars.setdefault(name, []).append(step)

    def add_image(self, name, picture, step):
        self.images[name, step] = tuple(picture.shape)

    def close(self):
        self.closed = True


def test_tensorboard_gets_the_numbers_and_film_strips_of_the_average(tmp_path, monkeypatch):
    from comfyui_spacetime.training import board

    recorder = Recorder()
    monkeypatch.setattr(board, "tensorboard", lambda folder: recorder)

    class Drawn(Line):
        def strips(self):
            return {"a line": torch.rand(3, 16, 80)}

    Run(Drawn(), schedule(sample_every=6), tmp_path).go()
    assert recorder.images == {("a line", 6): (3, 16, 80), ("a line", 12): (3, 16, 80)}
    assert recorder.scalars["validation"] == [5, 10, 12] and len(recorder.scalars["loss"]) == 12
    assert recorder.closed
    assert sorted(path.name for path in (tmp_path / "samples").iterdir()) == ["step-00000006.png", "step-00000012.png"]


def test_without_tensorboard_a_run_says_so_and_goes_on(tmp_path, monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    caplog.set_level("INFO")
    Run(Line(), schedule(steps=2), tmp_path).go()
    assert "the package tensorboard is not installed" in caplog.text
    assert latest(tmp_path).name == "step-00000002"


def test_a_run_by_the_clock_ends_and_its_time_is_kept(tmp_path):
    Run(Line(), schedule(steps=0, minutes=0.02, save_every=1_000_000), tmp_path).go()
    about = facts(latest(tmp_path))
    assert about["step"] > 1 and about["spent"] >= 1.2
    Run(Line(), schedule(steps=0, minutes=0.02), tmp_path).go()
    assert facts(latest(tmp_path)) == about, "its time was over: nothing is done or written"


def test_the_line_says_when_the_run_will_be_over(tmp_path, caplog):
    caplog.set_level("INFO")
    Run(Line(), schedule(), tmp_path).go()
    assert "line step 12  100%  loss" in caplog.text and "points/s  skipped 0  0:00:00 left" in caplog.text


def test_a_config_mistake_ends_the_program_with_one_sentence(tmp_path, capsys):
    from comfyui_spacetime.training import train_dit

    with pytest.raises(SystemExit, match=r"spacetime: there is no setting train.dit.tokns; did you mean"):
        train_dit.main(["--config", str(write_tiny_config(tmp_path)), "--set", "tokns=3"])
    with pytest.raises(SystemExit, match="holds no train latents: make some with"):
        train_dit.main(["--config", str(write_tiny_config(tmp_path)), "--set", f"latents={tmp_path}"])


def test_a_damaged_shard_is_reported_and_left_out(tmp_path, caplog):
    from comfyui_spacetime.training.latents import load_latents

    folder = write_made_up_latents(tmp_path / "latents")
    (folder / "train-00001.safetensors").write_bytes(b"nonsense")
    caplog.set_level("WARNING")
    assert len(load_latents(folder, "train")) == 2
    assert "train-00001.safetensors left out: it is damaged" in caplog.text
