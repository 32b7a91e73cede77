# SPDX-License-Identifier: GPL-3.0-or-later
"""Configs of training: names, types, changes from the command line, and what they cost."""

from __future__ import annotations

import pytest

pytest.importorskip("cv2", reason="training needs opencv: pip install '.[training]'")

import torch
from torch import nn

from comfyui_spacetime.models.dit import SpacetimeDiT
from comfyui_spacetime.training import budget, train_dit
from comfyui_spacetime.training.batches import Batch, stage_at
from comfyui_spacetime.training.noise import Plan
from comfyui_spacetime.training.settings import CONFIGS, SettingError, Stage, load_settings

NAMES = sorted(path.stem for path in CONFIGS.glob("*.toml"))


def write(tmp_path, text):
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_a_file_states_what_differs_from_the_defaults(tmp_path):
    settings = load_settings(write(tmp_path, "[dit]\ndepth = 3\n[train.dit]\nminutes = 5\n"))
    assert (settings.dit.depth, settings.dit.dim, settings.train.dit.minutes) == (3, 320, 5.0)


def test_changes_are_named_in_full_or_by_the_part_that_is_trained():
    changes = [
        "tokens=64",
        "train.vae.minutes=3",
        "dit.depth=2",
        "noise.prefix=0.5",
        "recompute=true",
        "latents=my/clips",
    ]
    settings = load_settings("nano", "dit", changes)
    dit = settings.train.dit
    assert (dit.tokens, dit.noise.prefix, dit.recompute, dit.latents) == (64, 0.5, True, "my/clips")
    assert settings.dit.depth == 2 and settings.train.vae.minutes == 3.0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("tokns=4", "no setting train.dit.tokns; did you mean train.dit.tokens?"),
        ("dit.deph=4", "no setting dit.deph; did you mean dit.depth?"),
        ("noise.sufix=1", "did you mean train.dit.noise.suffix?"),
        ("zzz=1", "no setting train.dit.zzz; there are minutes, steps"),
        ("tokens=many", "train.dit.tokens = 'many': must be a whole number"),
        ("tokens=1.5", "train.dit.tokens = 1.5: must be a whole number"),
        ("recompute=1", "must be true or false"),
        ("keep=0", "train.dit.keep = 0: must be at least 1"),
        ("shard=maybe", "must be auto, yes or no"),
        ("cooldown=-0.1", "train.dit.cooldown = -0.1: must be from 0 (none) to 1 (all of the run)"),
        ("cooldown=1.5", "train.dit.cooldown = 1.5: must be from 0"),
        ("cooldown=nan", "train.dit.cooldown = nan: must be from 0"),
        ("minutes=0", "one of them must be more than 0"),
        ("dit.text_dim=100", "dit.text_dim = 100, text.dim = 192: must be the same"),
        ("dit.heads=3", "dit.dim = 320: must be a multiple of 2 x dit.heads = 6"),
        ("tokens", "write it as key=value"),
    ],
)
def test_a_mistake_is_named_with_what_would_be_right(change, said):
    with pytest.raises(SettingError) as error:
        load_settings("nano", "dit", [change])
    assert said in str(error.value)


def test_sizes_may_be_written_large():
    assert load_settings("3B") == load_settings("3b")


def test_an_unknown_config_lists_those_there_are():
    with pytest.raises(SettingError, match=r"there is no config 'nan'; there are .*nano"):
        load_settings("nan")


def test_a_broken_file_is_named_with_the_line(tmp_path):
    with pytest.raises(SettingError, match=r"mine.toml: .*line 1"):
        load_settings(write(tmp_path, "[dit\n"))


@pytest.mark.parametrize("name", NAMES)
def test_every_config_loads_and_says_what_it_costs(name):
    text = budget.describe(load_settings(name), "dit", name, 8, "h100")
    assert "FLOP per token" in text and "assumed" in text and "DOES NOT FIT" not in text


def test_sizes_grow_from_ten_million_to_three_thousand():
    sizes = {n: budget.count(lambda n=n: SpacetimeDiT(load_settings(n).dit))[0] / 1e6 for n in NAMES}
    assert sorted(sizes, key=sizes.__getitem__) == ["nano", "small", "base", "large", "3b"]
    assert 8 < sizes["nano"] < 12 and 2900 < sizes["3b"] < 3300


def test_counted_flops_are_six_for_each_weight_and_token():
    layer = nn.Linear(64, 32, bias=False, device="meta")
    x = layer.weight.new_empty(10, 64).requires_grad_()
    assert budget.measure(layer, lambda: layer(x)).flops == 6 * 64 * 32 * 10


def test_kept_activations_leave_the_weights_out():
    net = nn.Sequential(nn.Linear(8, 16, device="meta"), nn.SiLU(), nn.Linear(16, 8, device="meta"))
    x = net[0].weight.new_empty(10, 8)
    assert budget.measure(net, lambda: net(x)).kept == 4 * (10 * 8 + 10 * 16 + 10 * 16)


def test_counted_activations_are_those_that_a_real_pass_keeps():
    settings = load_settings("nano")
    model = train_dit.Trained(settings.dit, settings.text)
    x, told = torch.randn(2, settings.dit.channels, 3, 8, 8), torch.rand(2, 1, 3, 1, 1)
    ids = torch.zeros(2, settings.text.length, dtype=torch.long)
    batch = Batch(x, torch.ones_like(x[:, :1]), Plan(told, told), ids, 8.0)
    weights = {p.data_ptr() for p in model.parameters()}
    kept = {}

    def keep(tensor):
        if tensor.untyped_storage().data_ptr() not in weights:
            kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        train_dit.flow_loss(model, batch)
    copies = 2 * sum(p.numel() for p in model.parameters())  # the weights in bf16 have a line of their own
    found = sum(storage.nbytes() for storage in kept.values()) - copies
    assert budget.dit_cost(settings, (3, 8, 8), 2, gpu=False).kept == pytest.approx(found, rel=0.15)


def test_recomputing_needs_less_memory_and_more_time():
    plain, again = (
        budget.describe(load_settings("base", "dit", c), "dit", "base", 8, "a100") for c in ([], ["recompute=true"])
    )
    assert _together(again) < _together(plain)


def _together(text):
    return next(float(line.split()[1]) for line in text.splitlines() if "together" in line)


def test_an_unknown_device_lists_those_there_are():
    with pytest.raises(SettingError, match=r"gpu 'h1' is not known; there are .*h100"):
        budget.describe(load_settings("nano"), "dit", "nano", 1, "h1")


def test_stages_are_interpolated():
    stages = (Stage(0.0, 100, {"1": 1.0}), Stage(0.5, 200, {"1": 0.5, "5": 0.5}), Stage(1.0, 200, {"9": 1.0}))
    assert stage_at(stages, 0.0) == Stage(0.0, 100, {"1": 1.0})
    assert stage_at(stages, 0.25) == Stage(0.25, 150, {"1": 0.75, "5": 0.25})
    assert stage_at(stages, 1.0).frames == {"1": 0.0, "5": 0.0, "9": 1.0}
