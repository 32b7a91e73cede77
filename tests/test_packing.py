# SPDX-License-Identifier: GPL-3.0-or-later
"""The benchmark's packed batches compute the same as clips one by one, or its figures would mean nothing."""

from __future__ import annotations

import pytest
import torch
from tiny import CHANNELS, tiny_dit

pytest.importorskip("cv2", reason="training needs opencv: pip install '.[training]'")

from comfyui_spacetime.bench import packing
from comfyui_spacetime.models.dit import fused_attention, patchify


def test_a_packed_batch_equals_its_clips_one_by_one():
    torch.manual_seed(0)
    dit = tiny_dit()
    clips = [torch.randn(CHANNELS, *shape) for shape in [(1, 4, 4), (1, 4, 4), (3, 4, 6), (2, 8, 4)]]
    timesteps = [torch.rand(len(c[0])) for c in clips]
    text = torch.randn(4, 7, 32)
    with torch.no_grad():
        row = packing.packed(dit, clips, timesteps, text, fused_attention)
        alone = [
            patchify(dit(c[None], t[None], text[i : i + 1])).flatten(1, 2)
            for i, (c, t) in enumerate(zip(clips, timesteps, strict=True))
        ]
    torch.testing.assert_close(row, torch.cat(alone, 1), atol=1e-4, rtol=1e-4)


def test_a_packed_batch_is_filled_with_clips_of_many_shapes():
    import numpy as np

    shapes, shares = packing.mixture({"1": 0.3, "5": 0.7})
    drawn = packing.draw(shapes, shares, True, np.random.default_rng(0))
    assert len(set(drawn)) > 3 and sum(t * h * w // 4 for t, h, w in drawn) >= packing.TOKENS
    assert len(set(packing.draw(shapes, shares, False, np.random.default_rng(0)))) == 1
