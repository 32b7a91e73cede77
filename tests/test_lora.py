# SPDX-License-Identifier: GPL-3.0-or-later
"""A LoRA trained on latents: what it learns, and that the host's stock loader puts exactly that onto our MODEL."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from node_kit import Kit, as_the_executor_does, make_kit  # noqa: F401
from safetensors.torch import load_file
from tiny import CHANNELS, write_tiny_checkpoint

pytest.importorskip("cv2", reason="training needs opencv: pip install '.[training]'")

from training_kit import losses, write_made_up_latents, write_tiny_config

from comfyui_spacetime.training import train_lora
from comfyui_spacetime.training.settings import SettingError, TrainLoRA
from comfyui_spacetime.training.train_dit import published


def fit(folder, *changes):
    """Fit a LoRA to made-up latents; returns the file."""
    start = write_tiny_checkpoint(folder / "tiny.safetensors")
    write_made_up_latents(folder / "latents")
    words = ["--config", str(write_tiny_config(folder)), "--start-from", str(start), "--out", str(folder / "lora")]
    for change in (f"latents={folder / 'latents'}", "tokens=128", "steps=8", "warmup=1", "log_every=1", *changes):
        words += ["--set", change]
    with torch.inference_mode(False), torch.enable_grad():
        train_lora.main(words)
    return folder / "lora" / "lora.safetensors"


def test_a_lora_learns_and_the_model_under_it_stays(tmp_path):
    path = fit(tmp_path, "rank=4", "adam_lr=0.01", "steps=30")
    curve = [loss for _, loss in losses(tmp_path / "lora")]
    assert sum(curve[-5:]) < 0.95 * sum(curve[:5])
    tensors = load_file(path)
    assert tensors["diffusion_model.blocks.0.attend.qkv.lora_A.weight"].shape == (4, 64)
    assert tensors["diffusion_model.blocks.1.mlp_out.lora_B.weight"].shape == (64, 4)
    model = train_lora.add_low_rank(published(tmp_path / "tiny.safetensors"), TrainLoRA())
    trained = {name.split(".")[-2] for name, p in model.named_parameters() if p.requires_grad}
    assert trained == {"up", "down"}


def test_a_new_lora_changes_nothing(tmp_path):
    start = write_tiny_checkpoint(tmp_path / "tiny.safetensors")
    plain, changed = published(start), train_lora.add_low_rank(published(start), TrainLoRA(rank=4))
    given = torch.randn(1, CHANNELS, 2, 4, 4), torch.rand(1), torch.zeros(1, 48, dtype=torch.long), 8.0
    assert torch.equal(plain(*given), changed(*given))


def test_targets_that_name_no_layer_are_refused(tmp_path):
    start = write_tiny_checkpoint(tmp_path / "tiny.safetensors")
    with pytest.raises(SettingError, match="no layer is called so; try attend, cross, mlp"):
        train_lora.add_low_rank(published(start), TrainLoRA(targets=("attn",)))


@pytest.mark.host
def test_the_stock_loader_puts_it_onto_our_model(kit: Kit, host_base: Any, tmp_path):
    import nodes

    made = fit(tmp_path, "rank=4", "adam_lr=0.01")
    path = host_base / "models" / "loras" / "trained.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(made.read_bytes())
    patched = nodes.LoraLoaderModelOnly().load_lora_model_only(kit.model, path.name, 1.0)[0]
    tensors = load_file(path)
    assert len(patched.patches) == len(tensors) // 2 == 14, "every matrix of both blocks is patched"
    key = "diffusion_model.blocks.0.attend.qkv"
    before = kit.model.model.state_dict()[f"{key}.weight"].clone()
    patched.patch_model()
    after = patched.model.state_dict()[f"{key}.weight"].clone()
    patched.unpatch_model()
    product = tensors[f"{key}.lora_B.weight"].float() @ tensors[f"{key}.lora_A.weight"].float()
    assert product.norm() > 0
    torch.testing.assert_close(after - before, product.to(before), atol=2e-3, rtol=2e-2)
