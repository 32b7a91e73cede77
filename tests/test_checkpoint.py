# SPDX-License-Identifier: GPL-3.0-or-later
"""Checkpoint files: written and read whole, anything else refused with a sentence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from tiny import tiny_dit, tiny_text, tiny_vae, write_tiny_checkpoint

from comfyui_spacetime.models.checkpoint import Checkpoint, CheckpointError, load_checkpoint


@pytest.fixture(scope="module", name="path")
def whole_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_checkpoint(tmp_path_factory.mktemp("weights") / "tiny.safetensors")


def rewritten(
    path: Path, to: Path, changes: dict[str, object] | None = None, drop: str = "", **tensors: torch.Tensor
) -> Path:
    """A copy with other metadata or tensors."""
    with safe_open(path, framework="pt") as file:
        described = json.loads(file.metadata()["spacetime"])
    state = {name: value for name, value in load_file(path).items() if name != drop}
    save_file({**state, **tensors}, to, metadata={"spacetime": json.dumps({**described, **(changes or {})})})
    return to


def test_all_parts_come_back_as_they_were(path: Path) -> None:
    checkpoint = load_checkpoint(path)
    tokenizer, text = checkpoint.build_text()
    for module, original in (
        (checkpoint.build_dit(), tiny_dit()),
        (checkpoint.build_vae(), tiny_vae()),
        (text, tiny_text()),
    ):
        assert module.config == original.config
        assert not module.training
        for name, value in original.state_dict().items():
            assert torch.equal(module.state_dict()[name], value), name
    assert tokenizer.encode("red panda") == [258, 259]
    assert checkpoint.info == {"name": "tiny"}


def test_published_files_are_bfloat16_and_half_the_size(path: Path, tmp_path: Path) -> None:
    half = write_tiny_checkpoint(tmp_path / "half.safetensors", torch.bfloat16)
    assert half.stat().st_size < 0.6 * path.stat().st_size
    checkpoint = load_checkpoint(half)
    assert {value.dtype for value in checkpoint.dit.values()} == {torch.bfloat16}
    assert next(checkpoint.build_dit(torch.float32).parameters()).dtype == torch.float32


def test_nothing_else_is_left_beside_a_written_file(path: Path) -> None:
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_a_model_saved_by_the_host_is_the_transformer_alone(tmp_path: Path) -> None:
    saved = tmp_path / "saved.safetensors"
    save_file({f"model.diffusion_model.{k}": v for k, v in tiny_dit().state_dict().items()}, saved)
    checkpoint = load_checkpoint(saved)
    assert checkpoint.dit_config == tiny_dit().config
    with pytest.raises(CheckpointError, match="holds no VAE"):
        checkpoint.build_vae()
    with pytest.raises(CheckpointError, match="holds no text encoder"):
        checkpoint.build_text()


def refused(path: Path, sentence: str) -> None:
    with pytest.raises(CheckpointError, match=sentence) as caught:
        load_checkpoint(path)
    assert path.name in str(caught.value)


def test_a_missing_file(tmp_path: Path) -> None:
    refused(tmp_path / "absent.safetensors", "does not exist")


@pytest.mark.parametrize("size", [0, 4, 1000, -1])
def test_a_truncated_file(path: Path, tmp_path: Path, size: int) -> None:
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(path.read_bytes()[:size])
    refused(broken, "not a whole safetensors file.*copy or download it again")


def test_a_file_that_is_something_else(tmp_path: Path) -> None:
    other = tmp_path / "picture.safetensors"
    other.write_bytes(b"\x89PNG" + bytes(range(256)) * 40)
    refused(other, "not a whole safetensors file")


def test_another_model_s_file(tmp_path: Path) -> None:
    foreign = tmp_path / "wan.safetensors"
    save_file({"blocks.0.self_attn.q.weight": torch.zeros(2, 2)}, foreign)
    refused(foreign, "not a Spacetime checkpoint.*the host's own loaders")


def test_a_newer_format(path: Path, tmp_path: Path) -> None:
    refused(rewritten(path, tmp_path / "new.safetensors", {"format": 99}), r"format 99.*update ComfyUI-Spacetime")


def test_a_lacking_weight(path: Path, tmp_path: Path) -> None:
    refused(
        rewritten(path, tmp_path / "lack.safetensors", drop="vae.decoder.up1.weight"),
        "lacks the weight vae.decoder.up1.weight",
    )


def test_a_weight_of_another_shape(path: Path, tmp_path: Path) -> None:
    odd = rewritten(path, tmp_path / "odd.safetensors", **{"dit.head.bias": torch.zeros(3)})
    refused(odd, r"dit.head.bias has shape \(3,\), its config asks for \(64,\)")


@pytest.mark.parametrize("changes", [{"dit": {"nonsense": 1}}, {"format": None}, {"text": {}}])
def test_a_description_that_makes_no_sense(path: Path, tmp_path: Path, changes: dict[str, object]) -> None:
    refused(rewritten(path, tmp_path / "odd.safetensors", changes), "describes itself wrongly")


def test_weights_are_never_unpickled(tmp_path: Path) -> None:
    pickled = tmp_path / "model.safetensors"
    torch.save({"dit": {}}, pickled)
    refused(pickled, "not a whole safetensors file")


def test_parts_are_not_built_until_asked_for(path: Path) -> None:
    assert isinstance(load_checkpoint(path), Checkpoint)
