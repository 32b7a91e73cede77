# SPDX-License-Identifier: GPL-3.0-or-later
"""A clip that is known in parts: its latents, and a mask that says which of them to generate.

The mask is 1 where nothing is known and 0 where the latents stay. A value between says at which point of the noise
schedule, counted from its end, a position stops being held: 0.3 keeps it for the first 70 percent of the steps.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class Edit:
    """samples (1, C, T, h, w); mask (1, 1, T, h, w) in 0..1."""

    samples: Tensor
    mask: Tensor

    @property
    def length(self) -> int:
        """Return the number of latent frames."""
        return self.samples.shape[2]


def blank(channels: int, length: int, height: int, width: int) -> Edit:
    """A clip of ``length`` latent frames of which nothing is known."""
    return Edit(torch.zeros(1, channels, length, height, width), torch.ones(1, 1, length, height, width))


def lay(edit: Edit, latent: Tensor, at: int, strength: float = 1.0) -> Edit:
    """Make ``latent`` (1, C, t, h, w) known from latent frame ``at`` on; ``strength`` below 1 lets it change a little.

    Raises ValueError where it does not fit into the clip.
    """
    end = at + latent.shape[2]
    if at < 0 or end > edit.length:
        raise ValueError(f"latent frames {at} to {end - 1} do not lie in a clip of {edit.length}")
    if latent.shape[1] != edit.samples.shape[1] or latent.shape[3:] != edit.samples.shape[3:]:
        raise ValueError(f"a latent of shape {tuple(latent.shape)} does not fit one of {tuple(edit.samples.shape)}")
    samples, mask = edit.samples.clone(), edit.mask.clone()
    samples[:, :, at:end] = latent.to(samples)
    mask[:, :, at:end] = 1.0 - min(1.0, max(0.0, strength))
    return Edit(samples, mask)


def bridge(before: Tensor | None, made: int, after: Tensor | None) -> Edit:
    """``made`` unknown latent frames between two known runs, either of which may be missing.

    One run alone is an extension: ``before`` forward, ``after`` backward. Raises ValueError without any, for
    ``made`` below 1 and for runs of different sizes.
    """
    if made < 1:
        raise ValueError(f"{made} latent frames cannot be generated; it takes at least one")
    run = before if before is not None else after
    if run is None:
        raise ValueError("nothing is known on either side")
    start = 0 if before is None else before.shape[2]
    end = 0 if after is None else after.shape[2]
    edit = blank(run.shape[1], start + made + end, *run.shape[3:])
    if before is not None:
        edit = lay(edit, before, 0)
    if after is not None:
        edit = lay(edit, after, start + made)
    return fill_gaps(edit)


def fill_gaps(edit: Edit) -> Edit:
    """Give latent frames of which nothing is known the samples of the nearest that is; the mask stays.

    Fully noised they do not matter; with a lower denoise they are a better start than zeros.
    """
    known = (edit.mask < 1).flatten(3).any(3)[0, 0].nonzero()[:, 0]
    if not len(known):
        return edit
    places = torch.arange(edit.length)[:, None]
    nearest = known[(places - known).abs().argmin(1)]
    return replace(edit, samples=edit.samples[:, :, nearest].contiguous())


def curve(values: list[float], length: int) -> Tensor:
    """Values evenly spread over a clip, linear between: (length,)."""
    points = torch.tensor(values, dtype=torch.float32)
    if len(points) == 1 or length == 1:
        return points[:1].expand(length).clone()
    place = torch.linspace(0, len(points) - 1, length)
    low = place.floor().long().clamp(max=len(points) - 2)
    return torch.lerp(points[low], points[low + 1], place - low)


def change(latent: Tensor, strength: Tensor, region: Tensor | None = None) -> Edit:
    """Start from a clip and change it by ``strength`` (T,) in 0..1: 0 keeps a latent frame, 1 makes it anew.

    region: (T or 1, h, w) in 0..1, outside of which (0) nothing changes.
    """
    mask = strength.clamp(0, 1).view(1, 1, -1, 1, 1).expand(1, 1, *latent.shape[2:]).clone()
    if region is not None:
        mask = mask * region.to(mask)[None, None]
    return Edit(latent, mask)


def melt(first: Tensor, second: Tensor, strength: float, held: int = 1) -> Edit:
    """Let ``first`` turn into ``second`` (both (1, C, T, h, w)) over the whole length.

    The samples glide from the one to the other, and the freedom to change them grows towards the middle, where they
    are neither; ``held`` latent frames at either end stay. Raises ValueError for different shapes or no middle.
    """
    if first.shape != second.shape:
        raise ValueError(f"the clips' latents differ: {tuple(first.shape)} and {tuple(second.shape)}")
    length = first.shape[2]
    if length <= 2 * held:
        raise ValueError(f"{length} latent frames leave no middle between {held} at either end")
    share = torch.zeros(length)
    share[held : length - held] = torch.linspace(0, 1, length - 2 * held + 2)[1:-1]
    share[length - held :] = 1.0
    samples = torch.lerp(first, second, share.view(1, 1, -1, 1, 1).to(first))
    freedom = strength * torch.sin(share * torch.pi)
    freedom[:held] = freedom[length - held :] = 0.0
    return change(samples, freedom)
