# SPDX-License-Identifier: GPL-3.0-or-later
"""Load Spacetime Model, and saving with the stock nodes."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from node_kit import NAME, Kit, as_the_executor_does, make_kit  # noqa: F401
from safetensors.torch import save_file
from tiny import CHANNELS

pytestmark = pytest.mark.host


@pytest.fixture
def loader(kit: Kit) -> Any:
    from comfyui_spacetime.nodes import loader

    return loader


@pytest.fixture
def folder(host_base: Path) -> Path:
    return host_base / "models" / "spacetime"


def test_the_list_holds_the_users_checkpoints_and_not_another_family_s(loader: Any, host_base: Path) -> None:
    foreign = host_base / "models" / "diffusion_models" / "foreign.safetensors"
    foreign.parent.mkdir(parents=True, exist_ok=True)
    save_file({"blocks.0.weight": torch.zeros(2)}, foreign)
    names = loader.list_checkpoints()
    assert NAME in names
    assert foreign.name not in names


def test_stock_loaders_do_not_list_them(kit: Kit) -> None:
    import folder_paths

    for kind in ("checkpoints", "diffusion_models", "vae", "text_encoders", "loras"):
        assert NAME not in folder_paths.get_filename_list(kind)
        assert "spacetime-nano.safetensors" not in folder_paths.get_filename_list(kind)


@pytest.mark.parametrize("name", ["../../secret.safetensors", "/etc/passwd", "absent.safetensors", "", "notes.txt"])
def test_names_that_are_not_listed_are_refused(loader: Any, host_base: Path, name: str) -> None:
    save_file({"x": torch.zeros(1)}, host_base / "secret.safetensors")
    with pytest.raises(ValueError, match="choose one of the list"):
        loader.load(name)


def test_a_truncated_file_gets_a_sentence(loader: Any, kit: Kit, folder: Path) -> None:
    broken = folder / "broken.safetensors"
    broken.write_bytes(kit.path.read_bytes()[:5000])
    try:
        with pytest.raises(
            ValueError, match=r"broken.safetensors is not a whole safetensors file.*copy or download it again"
        ):
            loader.load(broken.name)
    finally:
        broken.unlink()


def test_a_foreign_file_gets_a_sentence(loader: Any, folder: Path) -> None:
    foreign = folder / "foreign.safetensors"
    save_file({"blocks.0.weight": torch.zeros(2)}, foreign)
    try:
        with pytest.raises(ValueError, match="not a Spacetime checkpoint"):
            loader.load(foreign.name)
    finally:
        foreign.unlink()


def test_a_replaced_file_is_loaded_again(loader: Any, kit: Kit, folder: Path) -> None:
    copy = folder / "copy.safetensors"
    shutil.copyfile(kit.path, copy)
    node = loader.LoadSpacetimeModel
    before = node.fingerprint_inputs(copy.name)
    assert node.fingerprint_inputs(copy.name) == before
    os.utime(copy, (1, 1))
    assert node.fingerprint_inputs(copy.name) != before
    copy.unlink()
    assert node.fingerprint_inputs(copy.name) == copy.name


def test_a_model_saved_by_the_stock_node_loads_again_with_the_bundled_text_and_vae(
    loader: Any, kit: Kit, host_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import comfy_extras.nodes_model_merging as merging
    import folder_paths

    saved = host_base / "output" / "diffusion_models"
    folder_paths.add_model_folder_path("diffusion_models", str(saved))
    node = merging.ModelSave()
    node.save(model=kit.model, filename_prefix="diffusion_models/mine")
    (file,) = saved.glob("mine*.safetensors")
    folder_paths.filename_list_cache.clear()
    monkeypatch.setattr(loader, "BUNDLED", NAME)
    assert file.name in loader.list_checkpoints()
    model, clip, vae = loader.load(file.name, torch.float32)
    assert torch.equal(kit.stock_sample(model, kit.latent()), kit.stock_sample(kit.model, kit.latent()))
    assert clip is not None and vae.latent_channels == CHANNELS


def test_a_saved_model_that_does_not_fit_the_bundled_parts_is_refused(
    loader: Any, kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    from comfyui_spacetime.models.checkpoint import Checkpoint
    from comfyui_spacetime.models.dit import DiTConfig

    monkeypatch.setattr(loader, "BUNDLED", NAME)
    with pytest.raises(ValueError, match="16 and 8"):
        loader._bundled_for("odd.safetensors", Checkpoint(DiTConfig(channels=16, text_dim=8), {}))
