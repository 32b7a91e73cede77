# SPDX-License-Identifier: GPL-3.0-or-later
"""Rectified flow and the plain sampling loop."""

from __future__ import annotations

import pytest
import torch

from comfyui_spacetime.models import flow


def test_the_shift_grows_with_the_number_of_tokens_within_bounds() -> None:
    assert flow.token_shift(64) == pytest.approx(4.0)
    assert flow.token_shift(256) == pytest.approx(8.0)
    assert flow.token_shift(1) == 1.0
    assert flow.token_shift(10**6) == 12.0


def test_a_schedule_falls_from_its_start_to_zero() -> None:
    sigmas = flow.schedule(10, 3.0)
    assert len(sigmas) == 11
    assert (sigmas[0], sigmas[-1]) == (1, 0)
    assert (sigmas.diff() < 0).all()
    assert flow.schedule(10, 3.0, start=0.6)[0] == pytest.approx(0.6)


def test_a_shift_moves_the_steps_towards_noise() -> None:
    assert (flow.schedule(10, 4.0)[1:-1] > flow.schedule(10, 1.0)[1:-1]).all()
    assert torch.allclose(flow.schedule(4, 1.0), torch.tensor([1.0, 0.75, 0.5, 0.25, 0.0]))


def test_noise_is_mixed_in_by_its_level() -> None:
    data, noise = torch.full((1, 1, 1, 2, 2), 3.0), torch.ones(1, 1, 1, 2, 2)
    assert torch.equal(flow.add_noise(data, noise, torch.tensor(0.0)), data)
    assert torch.equal(flow.add_noise(data, noise, torch.tensor(1.0)), noise)


def test_the_true_velocity_leads_from_any_noise_to_the_data() -> None:
    data, noise = torch.randn(2, 4, 3, 2, 2), torch.randn(2, 4, 3, 2, 2)
    seen = []

    def velocity(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        seen.append(t)
        return noise - data

    assert torch.allclose(flow.sample(velocity, noise, flow.schedule(5, 2.0)), data, atol=1e-5)
    assert [t.shape for t in seen] == [(2,)] * 5


def test_known_latents_enter_clean_at_timestep_zero_and_leave_bit_identical() -> None:
    known, noise = torch.randn(1, 4, 3, 2, 2), torch.randn(1, 4, 3, 2, 2)
    mask = torch.ones(1, 1, 3, 2, 2)
    mask[:, :, 0] = 0

    def velocity(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        assert torch.equal(x[:, :, 0], known[:, :, 0])
        assert (t[:, :, 0] == 0).all() and (t[:, :, 1:] > 0).all()
        return torch.randn_like(x)

    out = flow.sample(velocity, noise, flow.schedule(4, 1.5), known, mask)
    assert torch.equal(out[:, :, 0], known[:, :, 0])
    assert not torch.equal(out[:, :, 1:], known[:, :, 1:])


def test_starting_below_full_noise_starts_from_the_data() -> None:
    known, noise = torch.randn(1, 4, 3, 2, 2), torch.randn(1, 4, 3, 2, 2)
    out = flow.sample(lambda x, t: noise - known, noise, flow.schedule(4, 1.5, start=0.4), known)
    assert torch.allclose(out, known, atol=1e-5)


def test_guidance_goes_beyond_the_prompt_s_own_prediction() -> None:
    def denoise(x: torch.Tensor, t: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        return text.view(-1, 1).expand(len(x), 2)

    x, t = torch.zeros(1, 2), torch.ones(1)
    positive, negative = torch.tensor([[3.0]]), torch.tensor([[1.0]])
    assert flow.guided(denoise, positive, negative, 1.0)(x, t).tolist() == [[3.0, 3.0]]
    assert flow.guided(denoise, positive, negative, 4.0)(x, t).tolist() == [[9.0, 9.0]]
