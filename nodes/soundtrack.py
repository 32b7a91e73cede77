# SPDX-License-Identifier: GPL-3.0-or-later
"""The sound of a video of many parts: the originals' own where they play, silence where nothing is known."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .lazy_video import has_samples
from .plan import Kept, Made, Part, Shown


def soundtrack(parts: Iterable[Part], rate: Fraction) -> dict[str, Any] | None:
    """Return the host's AUDIO for the parts one after the other at ``rate`` frames per second; None if all is silent.

    The first sound's sample rate holds for all; channels are those of the richest.
    """
    plays: list[tuple[int, tuple[Kept | None, Kept | None], tuple[float, float]]] = []
    for part in parts:
        coming, shares = (part.sound_in, part.shares) if isinstance(part, (Made, Shown)) else (None, (0.0, 0.0))
        plays.append((part.count, (part if isinstance(part, Kept) else part.sound, coming), shares))
    sounds: dict[int, dict[str, Any] | None] = {}
    for kept in (kept for _, pair, _ in plays for kept in pair):
        if kept is not None and id(kept.original) not in sounds:
            sound = kept.original.stream.audio()
            sounds[id(kept.original)] = sound if has_samples(sound) else None
    found = [sound for sound in sounds.values() if sound is not None]
    if not found:
        return None
    samples = int(found[0]["sample_rate"])
    channels = max(min(2, sound["waveform"].shape[1]) for sound in found)
    waves = {key: None if sound is None else _wave(sound, samples, channels) for key, sound in sounds.items()}
    pieces, done = [], 0
    for count, pair, shares in plays:
        begin, end = (round(frame * samples / rate) for frame in (done, done + count))
        piece, coming = (_played(kept, waves, samples, end - begin, channels) for kept in pair)
        pieces.append(piece if pair[1] is None else torch.lerp(piece, coming, torch.linspace(*shares, end - begin)))
        done += count
    return {"waveform": torch.cat(pieces, 1)[None], "sample_rate": samples}


def _wave(sound: dict[str, Any], samples: int, channels: int) -> Tensor:
    """A sound's waveform (channels, samples), resampled where it has another rate."""
    wave = sound["waveform"].detach().float().cpu().reshape(-1, *sound["waveform"].shape[-2:])[0]
    wave = wave if wave.shape[0] <= 2 else wave.mean(0, keepdim=True)
    own = int(sound["sample_rate"])
    if own != samples and wave.shape[1]:
        wave = F.interpolate(wave[None], size=max(1, round(wave.shape[1] * samples / own)), mode="linear")[0]
    return wave.expand(channels, -1)


def _played(kept: Kept | None, waves: dict[int, Tensor | None], rate: int, length: int, channels: int) -> Tensor:
    """``length`` samples of what an original plays from its first kept frame on; silence where there is nothing."""
    piece = torch.zeros(channels, length)
    wave = None if kept is None else waves[id(kept.original)]
    if kept is not None and wave is not None:
        start = round(kept.begin * rate / kept.original.rate)
        part = wave[:, start : start + length]
        piece[:, : part.shape[1]] = part
    return piece
