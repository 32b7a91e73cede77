# SPDX-License-Identifier: GPL-3.0-or-later
"""Weights in a byte each come back as they were, but for the rounding."""

from __future__ import annotations

import pytest
import torch

from comfyui_spacetime.models.int8 import pack, unpack


def test_a_kernel_is_stored_in_a_quarter_of_the_bytes_and_hardly_changes() -> None:
    kernel = torch.randn(64, 32, 3, 3)
    packed = pack({"kernel": kernel}, torch.bfloat16)
    assert sum(v.nbytes for v in packed.values()) < kernel.nbytes / 3.9
    back = unpack(packed)["kernel"]
    assert (back - kernel).norm() < 0.01 * kernel.norm()


def test_each_row_has_a_scale_of_its_own() -> None:
    rows = torch.randn(2, 4096) * torch.tensor([[1.0], [1000.0]])
    back = unpack(pack({"rows": rows}, torch.bfloat16))["rows"]
    assert (back[0] - rows[0]).abs().max() < 0.05


def test_a_row_of_zeros_stays_zero() -> None:
    zeros = torch.zeros(64, 128)
    assert torch.equal(unpack(pack({"zeros": zeros}, torch.bfloat16))["zeros"], zeros)


def test_small_and_whole_numbers_stay_as_they_are() -> None:
    state = {"bias": torch.randn(8), "count": torch.tensor(3), "table": torch.randn(4, 4)}
    packed = pack(state, torch.float32)
    assert packed.keys() == state.keys() and all(torch.equal(packed[k], state[k]) for k in state)


def test_bytes_without_their_scale_are_refused() -> None:
    packed = pack({"kernel": torch.randn(64, 64)}, torch.bfloat16)
    del packed["kernel_scale"]
    with pytest.raises(KeyError, match="kernel_scale"):
        unpack(packed)
