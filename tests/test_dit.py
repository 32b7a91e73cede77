# SPDX-License-Identifier: GPL-3.0-or-later
"""The diffusion transformer: any shape, a timestep for every token, time in seconds."""

from __future__ import annotations

import pytest
import torch
from tiny import CHANNELS, tiny_dit

from comfyui_spacetime.models import dit
from comfyui_spacetime.models.dit import DiTConfig, SpacetimeDiT, patchify, token_seconds, token_timestep, unpatchify


@pytest.fixture(scope="module", name="net")
def random_net() -> SpacetimeDiT:
    return tiny_dit()


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.no_grad():
        yield


TEXT = torch.randn(1, 9, 32, generator=torch.Generator().manual_seed(4))


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize("shape", [(1, 2, 2), (1, 16, 16), (3, 4, 10), (9, 6, 2), (25, 2, 4)])
def test_any_length_height_and_width(net: SpacetimeDiT, shape: tuple[int, int, int]) -> None:
    x = noise(1, CHANNELS, *shape)
    out = net(x, torch.tensor([0.5]), TEXT)
    assert out.shape == x.shape
    assert torch.isfinite(out).all()


def test_patches_come_back_in_place() -> None:
    x = noise(2, 3, 4, 6, 8)
    assert torch.equal(unpatchify(patchify(x), 3, 4), x)


def test_one_timestep_for_all_equals_the_same_for_every_token(net: SpacetimeDiT) -> None:
    x = noise(2, CHANNELS, 3, 4, 4)
    text = TEXT.expand(2, -1, -1)
    t = torch.tensor([0.3, 0.8])
    whole = net(x, t, text)
    assert torch.allclose(net(x, t[:, None].expand(2, 3), text), whole, atol=1e-5)
    assert torch.allclose(net(x, t.view(2, 1, 1, 1, 1).expand(2, 1, 3, 4, 4), text), whole, atol=1e-5)


def test_a_token_s_own_timestep_matters_to_it(net: SpacetimeDiT) -> None:
    x = noise(1, CHANNELS, 3, 4, 4)
    known_first = torch.tensor([[0.0, 0.7, 0.7]])
    assert not torch.allclose(net(x, known_first, TEXT), net(x, torch.tensor([0.7]), TEXT), atol=1e-3)


def test_a_token_is_as_noisy_as_its_noisiest_position() -> None:
    t = torch.zeros(1, 1, 2, 4, 4)
    t[0, 0, 1, 3, 0] = 0.6
    per_token = token_timestep(t)
    assert per_token.shape == (1, 2, 4)
    assert per_token[0].tolist() == [[0, 0, 0, 0], [0, 0, pytest.approx(0.6), 0]]


def test_the_frame_rate_changes_what_is_predicted(net: SpacetimeDiT) -> None:
    x = noise(1, CHANNELS, 3, 4, 4)
    t = torch.tensor([0.5])
    assert not torch.allclose(net(x, t, TEXT, fps=8.0), net(x, t, TEXT, fps=24.0), atol=1e-4)


def test_latent_frames_lie_in_the_middle_of_their_frames() -> None:
    assert token_seconds(4, 8.0, torch.device("cpu")).tolist() == [0.0, 2.5 / 8, 6.5 / 8, 10.5 / 8]


def test_a_window_of_a_clip_can_say_where_it_lies(net: SpacetimeDiT) -> None:
    x = noise(1, CHANNELS, 3, 4, 4)
    t = torch.tensor([0.5])
    seconds = token_seconds(8, 8.0, x.device)
    assert torch.allclose(net(x, t, TEXT, seconds=seconds[:3]), net(x, t, TEXT), atol=1e-6)
    assert not torch.allclose(net(x, t, TEXT, seconds=seconds[5:]), net(x, t, TEXT), atol=1e-4)


def test_text_matters_and_its_order_too(net: SpacetimeDiT) -> None:
    x, t = noise(1, CHANNELS, 2, 4, 4), torch.tensor([0.5])
    assert not torch.allclose(net(x, t, TEXT), net(x, t, TEXT * 0), atol=1e-3)
    assert not torch.allclose(net(x, t, TEXT), net(x, t, TEXT.roll(1, 1)), atol=1e-3)  # another last, pooled state


def test_clips_of_a_batch_do_not_see_each_other(net: SpacetimeDiT) -> None:
    x, text = noise(2, CHANNELS, 3, 4, 4), torch.cat([TEXT, TEXT * 2])
    t = torch.tensor([0.2, 0.9])
    assert torch.allclose(net(x, t, text)[1:], net(x[1:], t[1:], text[1:]), atol=1e-5)


def test_another_attention_may_be_given(net: SpacetimeDiT) -> None:
    x, t = noise(1, CHANNELS, 2, 4, 4), torch.tensor([0.5])
    calls = []

    def attention(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, heads: int) -> torch.Tensor:
        calls.append(q.shape)
        return dit.fused_attention(q, k, v, heads)

    assert torch.equal(net(x, t, TEXT, attention=attention), net(x, t, TEXT))
    assert len(calls) == 2 * net.config.depth


def test_no_condition_equals_a_condition_of_zeros(net: SpacetimeDiT) -> None:
    x, t = noise(1, CHANNELS, 2, 4, 4), torch.tensor([0.5])
    nothing = torch.zeros(1, net.config.conditions, 2, 4, 4)
    assert torch.equal(net(x, t, TEXT, condition=nothing), net(x, t, TEXT))
    assert not torch.allclose(net(x, t, TEXT, condition=nothing + 1), net(x, t, TEXT), atol=1e-4)


def test_it_begins_training_with_the_same_prediction_for_everything() -> None:
    net = SpacetimeDiT(tiny_dit().config).initialise()
    first = net(noise(1, CHANNELS, 2, 4, 4), torch.tensor([0.5]), TEXT)
    assert torch.equal(net(torch.ones(1, CHANNELS, 2, 4, 4), torch.tensor([0.1]), TEXT * 2), first)


def test_bfloat16_is_near_float32(net: SpacetimeDiT) -> None:
    x, t = noise(1, CHANNELS, 2, 4, 4), torch.tensor([0.5])
    half = tiny_dit().to(torch.bfloat16)
    out = half(x.bfloat16(), t, TEXT.bfloat16())
    assert out.dtype == torch.bfloat16
    assert torch.allclose(out.float(), net(x, t, TEXT), atol=0.1)


@pytest.mark.parametrize("shape", [(1, 48, 2, 4, 4), (1, CHANNELS, 2, 5, 4), (1, CHANNELS, 2, 4, 7)])
def test_latents_that_it_cannot_take_are_refused(net: SpacetimeDiT, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=f"takes {CHANNELS} channels and even sizes"):
        net(noise(*shape), torch.tensor([0.5]), TEXT)


@pytest.mark.parametrize(
    "config", [DiTConfig(), tiny_dit().config, DiTConfig(dim=96, depth=3, heads=3, mlp=2, conditions=4)]
)
def test_the_sizes_can_be_read_off_the_weights(config: DiTConfig) -> None:
    with torch.device("meta"):
        state = SpacetimeDiT(config).state_dict()
    assert DiTConfig.from_state_dict(state) == config
