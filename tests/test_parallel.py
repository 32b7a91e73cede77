# SPDX-License-Identifier: GPL-3.0-or-later
"""Several processes on one machine (gloo): the same training as one, whole weights or sharded ones."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tiny import write_tiny_checkpoint

pytest.importorskip("cv2", reason="training needs opencv: pip install '.[training]'")

from training_kit import ROOT, losses, train

from comfyui_spacetime.training import publish, train_dit
from comfyui_spacetime.training.optim import orthogonalise
from comfyui_spacetime.training.parallel import Processes, layers, wants_shards
from comfyui_spacetime.training.saves import latest

STEPS = ("steps=6", "batches=4", "warmup=1", "save_every=2", "muon_lr=0.01", "adam_lr=0.001")


def run(folder: Path, out: str, *changes: str, processes: int = 1) -> subprocess.CompletedProcess[str]:
    """Train the tiny model from weights that are all different from zero."""
    start = folder / "start.safetensors"
    if not start.exists():
        write_tiny_checkpoint(start)
    options = ("--start-from", str(start))
    done = train(folder, out, *STEPS, *changes, processes=processes, options=options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def alone(tmp_path_factory) -> Path:
    """A folder with the run of one process."""
    folder = tmp_path_factory.mktemp("parallel")
    run(folder, "alone")
    return folder


def assert_same_run(folder: Path, out: str) -> None:
    """The losses are those of one process but for rounding, and so are AdamW's weights at the end.

    Left out are Muon's, because it makes the weakest directions of a gradient, which are rounding, as long as the
    others, and biases: those of keys have no gradient but rounding, which AdamW makes as long as any.
    """
    for (step, one), (again, many) in zip(losses(folder / "alone"), losses(folder / out), strict=True):
        assert step == again and many == pytest.approx(one, rel=5e-4)
    one, many = (publish.averaged(folder / name)[0].state_dict() for name in ("alone", out))
    begun = train_dit.published(folder / "start.safetensors").state_dict()
    compared = [n for n in one if n.endswith("weight") and (one[n].ndim < 2 or is_adams(n))]
    assert len(compared) == 20
    for name in compared:
        moved = (one[name] - begun[name]).norm()
        assert (many[name] - one[name]).norm() <= 0.03 * moved + 1e-6, name


def is_adams(name: str) -> bool:
    return any(part in name for part in train_dit.DiTPart.adam_only)


@pytest.mark.slow
def test_four_processes_with_shards_train_as_one_and_two_go_on(alone):
    run(alone, "shards", "shard=yes", "recompute=true", "stop_at=4", processes=4)
    assert latest(alone / "shards").name == "step-00000004"
    assert len(list(latest(alone / "shards").glob("*.distcp"))) == 4, "every process writes its part"
    done = run(alone, "shards", "shard=yes", processes=2)
    assert "goes on from" in done.stderr + done.stdout
    assert_same_run(alone, "shards")


KILLED_ONCE = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {host!r})
import entry
entry.extend_path()
entry.load_package()
from comfyui_spacetime.training import run, train_dit

taken = run.Run.train

def die_at_step_four(self, *given):
    marker = Path({marker!r})
    if self.step == 4 and self.processes.rank == 1 and not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return taken(self, *given)

run.Run.train = die_at_step_four
train_dit.main(sys.argv[1:])
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_two_processes_with_copies_train_as_one_though_a_worker_is_killed_and_restarts_from_the_last_step(alone):
    script = alone / "killed.py"
    script.write_text(KILLED_ONCE.format(host=str(ROOT / "host"), marker=str(alone / "killed")), encoding="utf-8")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "--max-restarts=1"]
    command += [str(script), "--config", str(alone / "tiny.toml"), "--out", str(alone / "killed-run")]
    command += ["--start-from", str(alone / "start.safetensors")]
    for change in (f"latents={alone / 'latents'}", *STEPS):
        command += ["--set", change]
    environ = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(command, capture_output=True, text=True, env=environ, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (alone / "killed").exists() and "goes on from" in done.stderr + done.stdout
    assert [step for step, _ in losses(alone / "killed-run")] == [1, 2, 3, 4, 5, 6]
    assert_same_run(alone, "killed-run")


MUON = """
import sys
sys.path.insert(0, {host!r})
import entry
entry.extend_path()
entry.load_package()
import torch
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import Shard, distribute_tensor
from comfyui_spacetime.training.optim import orthogonalise, orthogonalise_all
from comfyui_spacetime.training.parallel import join, leave

here = join()
mesh = init_device_mesh("cpu", (here.world,))
torch.manual_seed(0)
whole = [torch.randn(*shape) for shape in [(7, 5), (2, 9), (16, 3, 2), (5, 5), (1, 4)]]
sharded = [distribute_tensor(m, mesh, [Shard(0)]) for m in whole]
for m, rows in zip(whole, orthogonalise_all(sharded), strict=True):
    right = distribute_tensor(orthogonalise(m.flatten(1)).view_as(m), mesh, [Shard(0)]).to_local()
    assert torch.equal(rows.view_as(right), right), (here.rank, m.shape)
leave()
"""


def run_side_by_side(script, text, processes):
    """Run a program in several processes that torchrun starts; it must end well in all."""
    script.write_text(text.format(host=str(ROOT / "host")), encoding="utf-8")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    environ = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [*command, str(script)], capture_output=True, text=True, env=environ, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_sharded_matrices_are_orthogonalised_whole(tmp_path):
    run_side_by_side(tmp_path / "muon.py", MUON, 2)


STATISTICS = """
import sys
sys.path.insert(0, {host!r})
import entry
entry.extend_path()
entry.load_package()
import torch
import torch.distributed as dist
from torch import nn
from comfyui_spacetime.training.parallel import join, leave
from comfyui_spacetime.training.run import Part, Run
from comfyui_spacetime.training.settings import Schedule

class Normed(Part):
    name, unit, adam_only = "normed", "points", ()

    def __init__(self):
        torch.manual_seed(0)
        self.module = nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 4))
        self.module.register_buffer("constant", torch.full((3,), 0.1))
        self.seen = []

    def loss(self, rng, progress):
        x = torch.randn(16, 4)
        self.seen.append(x)
        return (self.module(x) - x).square().mean(), 16

here = join()
run = Run(Normed(), Schedule(steps=1), __import__("pathlib").Path("."), here)
run.train(0.0, 1.0)
mean = run.part.module[0].running_mean
both = run.part.seen[0].mean(0)
dist.all_reduce(both)
torch.testing.assert_close(mean, 0.1 * both / here.world)
every = [torch.empty_like(mean) for _ in range(here.world)]
dist.all_gather(every, mean)
assert all(torch.equal(one, mean) for one in every), every
assert torch.equal(run.part.module.constant, torch.full((3,), 0.1))
assert torch.allclose(run.average.values["0.running_mean"], mean * (10 / 11))
leave()
"""


@pytest.mark.slow
def test_copies_keep_the_same_statistics_those_of_all_clips(tmp_path):
    run_side_by_side(tmp_path / "normed.py", STATISTICS, 3)


def test_weights_are_split_only_where_copies_would_fill_the_memory(monkeypatch):
    from comfyui_spacetime.training import parallel

    monkeypatch.setattr(parallel, "device_memory", lambda processes: 80e9)
    many = Processes(0, 8)
    assert not wants_shards("auto", 400_000_000, many)
    assert wants_shards("auto", 3_000_000_000, many)
    assert wants_shards("yes", 10, many) and not wants_shards("no", 3_000_000_000, many)
    assert not wants_shards("yes", 10, Processes()), "one process has nothing to split over"


def test_the_repeated_blocks_are_what_is_split_one_at_a_time():
    from tiny import tiny_dit

    assert [type(block).__name__ for block in layers(tiny_dit())] == ["Block", "Block"]


def test_a_tall_matrix_is_orthogonalised_as_its_transpose():
    m = torch.randn(12, 4)
    torch.testing.assert_close(orthogonalise(m), orthogonalise(m.T).T)
