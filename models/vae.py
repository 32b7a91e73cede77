# SPDX-License-Identifier: GPL-3.0-or-later
"""A causal video VAE that streams: frames to latent frames and back, four at a time.

The first frame of a clip is a latent frame of its own, every further group of four frames is one more. A group is
folded into channels and treated as a picture, so that all convolutions are two-dimensional; the past enters through
the features of the group before, which is the whole state a stream has to carry. There is no normalisation across
time or space, so encoding or decoding in chunks equals doing it at once.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

TIME = 4  # frames in one latent frame, the first apart
State = list[Tensor]


@dataclass(frozen=True)
class VAEConfig:
    """Sizes of a :class:`VideoVAE`.

    ``widths`` are the channels at 1/4, 1/8 and 1/16 of the picture's size, ``expand`` how many times wider a block is
    inside there, and the numbers of blocks are the encoder's at 1/8 and 1/16, the decoder's at 1/16, 1/8 and 1/4.
    """

    channels: int = 16
    widths: tuple[int, int, int] = (64, 128, 192)
    expand: tuple[int, int, int] = (1, 2, 1)
    encoder_blocks: tuple[int, int] = (3, 2)
    decoder_blocks: tuple[int, int, int] = (3, 4, 3)

    @property
    def space(self) -> int:
        """Pixels along one side of a latent position."""
        return 16

    def to_dict(self) -> dict[str, Any]:
        """Return the sizes as plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> VAEConfig:
        """Read what :meth:`to_dict` wrote, also before blocks could be wider inside."""
        sizes: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
        return cls(**{"expand": (1, 1, 1), **sizes})


class ChannelNorm(nn.LayerNorm):
    """Layer normalisation over the channels of (N, C, H, W)."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalise; the shape stays."""
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Block(nn.Module):
    """Residual block; where ``temporal``, it also sees its own normalised input one latent frame earlier."""

    def __init__(self, width: int, hidden: int, temporal: bool) -> None:
        super().__init__()
        self.norm = ChannelNorm(width)
        self.conv1 = nn.Conv2d(width, hidden, 3, padding=1)
        self.past = nn.Conv2d(width, hidden, 1, bias=False) if temporal else None
        self.conv2 = nn.Conv2d(hidden, width, 3, padding=1)
        for parameter in self.conv2.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor, batch: int, state: State | None, carry: State) -> Tensor:
        """Map (B*T, C, H, W) to the same shape; take the past from ``state`` and append the new past to ``carry``."""
        h = F.silu(self.norm(x))
        y = self.conv1(h)
        if self.past is not None:
            before = h.new_zeros(batch, *h.shape[1:]) if state is None else state[len(carry)].to(h)
            clip = torch.cat([before[:, None], h.unflatten(0, (batch, -1))], 1)
            carry.append(clip[:, -1].contiguous())
            y = y + self.past(clip[:, :-1].flatten(0, 1))
        return x + self.conv2(F.silu(y))


class Stage(nn.Module):
    """Blocks at one resolution."""

    def __init__(self, config: VAEConfig, level: int, count: int, temporal: bool) -> None:
        """``level`` is 0, 1 or 2 for 1/4, 1/8 or 1/16 of the picture's size."""
        super().__init__()
        width = config.widths[level]
        hidden = width * config.expand[level]
        self.blocks = nn.ModuleList([Block(width, hidden, temporal) for _ in range(count)])

    def forward(self, x: Tensor, batch: int, state: State | None, carry: State) -> Tensor:
        """Apply the blocks one after the other, as :meth:`Block.forward`."""
        for block in self.blocks:
            x = block(x, batch, state, carry)
        return x


class Encoder(nn.Module):
    """Groups of four frames (B*T, 12, H, W) to latents (B*T, C, H/16, W/16), not yet normalised."""

    def __init__(self, config: VAEConfig) -> None:
        super().__init__()
        _, middle, top = config.widths
        self.patchify = nn.Conv2d(3 * TIME * 64, middle, 1)
        self.fine = Stage(config, 1, config.encoder_blocks[0], temporal=False)
        self.down = nn.Conv2d(middle * 4, top, 1)
        self.coarse = Stage(config, 2, config.encoder_blocks[1], temporal=True)
        self.norm = ChannelNorm(top)
        self.project = nn.Conv2d(top, config.channels, 1)

    def forward(self, x: Tensor, batch: int, state: State | None, carry: State) -> Tensor:
        """Encode groups; ``state`` and ``carry`` as in :meth:`Block.forward`."""
        h = self.patchify(
            F.pixel_unshuffle(x.to(self.patchify.weight.dtype), 8).contiguous(memory_format=torch.channels_last)
        )
        h = self.fine(h, batch, state, carry)
        h = self.down(F.pixel_unshuffle(h, 2).contiguous(memory_format=torch.channels_last))
        return self.project(self.norm(self.coarse(h, batch, state, carry)))


class Decoder(nn.Module):
    """Normalised latents (B*T, C, h, w) to groups of four frames (B*T, 12, 16h, 16w)."""

    def __init__(self, config: VAEConfig) -> None:
        super().__init__()
        low, middle, top = config.widths
        first, second, third = config.decoder_blocks
        self.project = nn.Conv2d(config.channels, top, 3, padding=1)
        self.coarse = Stage(config, 2, first, temporal=True)
        self.up1 = nn.Conv2d(top, middle * 4, 1)
        self.middle = Stage(config, 1, second, temporal=True)
        self.up2 = nn.Conv2d(middle, low * 4, 1)
        self.fine = Stage(config, 0, third, temporal=False)
        self.norm = ChannelNorm(low)
        self.unpatchify = nn.Conv2d(low, 3 * TIME * 16, 1)

    def forward(self, z: Tensor, batch: int, state: State | None, carry: State) -> Tensor:
        """Decode latent frames; ``state`` and ``carry`` as in :meth:`Block.forward`."""
        h = self.coarse(self.project(z.contiguous(memory_format=torch.channels_last)), batch, state, carry)
        h = F.pixel_shuffle(self.up1(h), 2).contiguous(memory_format=torch.channels_last)
        h = self.middle(h, batch, state, carry)
        h = F.pixel_shuffle(self.up2(h), 2).contiguous(memory_format=torch.channels_last)
        h = self.fine(h, batch, state, carry)
        return F.pixel_shuffle(self.unpatchify(self.norm(h)), 4)


def to_video(frames: NDArray[np.uint8]) -> Tensor:
    """Frames (F, H, W, 3) uint8 as the VAE takes them: (1, 3, F, H, W) float32 in -1..1."""
    return torch.from_numpy(np.ascontiguousarray(frames)).permute(3, 0, 1, 2)[None].float().div(127.5).sub(1)


def to_uint8(video: Tensor) -> NDArray[np.uint8]:
    """What the VAE gives, (1, 3, F, H, W) in about -1..1, as frames (F, H, W, 3) uint8."""
    return np.asarray(((video[0].float().clamp(-1, 1) + 1) * 127.5 + 0.5).byte().permute(1, 2, 3, 0))


class VideoVAE(nn.Module):
    """Causal video autoencoder: 4x in time, 16x in height and width, ``config.channels`` latent channels.

    Latents are normalised per channel (mean 0, standard deviation 1 over the training data) by :attr:`scale`, whose
    running statistics are part of the weights. In training, noise is added to them by the caller, which keeps the
    latent space smooth without a KL term.
    """

    def __init__(self, config: VAEConfig | None = None) -> None:
        super().__init__()
        self.config = config or VAEConfig()
        self.encoder = Encoder(self.config)
        self.decoder = Decoder(self.config)
        self.scale = nn.BatchNorm2d(self.config.channels, affine=False, momentum=0.01)

    def encode(self, video: Tensor) -> Tensor:
        """Encode (B, 3, F, H, W) in -1..1, F = 4k + 1, H and W multiples of 16, to (B, C, k + 1, H/16, W/16).

        Raises ValueError for another number of channels or frames or another size.
        """
        return self.encode_chunk(video, None)[0]

    def decode(self, latent: Tensor) -> Tensor:
        """Decode (B, C, T, h, w) to (B, 3, 4T - 3, 16h, 16w), about -1..1 (not clamped)."""
        return self.decode_chunk(latent, None)[0]

    def encode_chunk(self, video: Tensor, state: State | None) -> tuple[Tensor, State]:
        """Encode the next frames of a stream.

        The first call (``state`` None) takes 4k + 1 frames, every later one 4k. Returns the latent frames and the
        state for the next call. Raises ValueError as :meth:`encode` does.
        """
        self._check_frames(video, first=state is None)
        if state is None:
            video = torch.cat([video[:, :, :1].expand(-1, -1, TIME - 1, -1, -1), video], 2)
        batch, _, frames, height, width = video.shape
        groups = video.transpose(1, 2).reshape(batch * frames // TIME, TIME * 3, height, width)
        carry: State = []
        z = self.scale(self.encoder(groups, batch, state, carry))
        return z.unflatten(0, (batch, -1)).transpose(1, 2), carry

    def decode_chunk(self, latent: Tensor, state: State | None) -> tuple[Tensor, State]:
        """Decode the next latent frames (B, C, T, h, w) of a stream: 4T frames, on the first call 4T - 3."""
        channels = self.config.channels
        if latent.ndim != 5 or latent.shape[1] != channels or latent.shape[2] < 1:
            raise ValueError(
                f"latent has shape {tuple(latent.shape)}; this VAE decodes (batch, {channels}, frames, height, width)"
            )
        batch = latent.shape[0]
        carry: State = []
        x = self.decoder(latent.transpose(1, 2).flatten(0, 1), batch, state, carry)
        video = x.reshape(batch, -1, 3, *x.shape[2:]).transpose(1, 2)
        return (video[:, :, TIME - 1 :] if state is None else video), carry

    def _check_frames(self, video: Tensor, first: bool) -> None:
        if video.ndim != 5 or video.shape[1] != 3:
            raise ValueError(
                f"video has shape {tuple(video.shape)}; this VAE encodes (batch, 3, frames, height, width)"
            )
        frames, height, width = video.shape[2:]
        for name, value in (("height", height), ("width", width)):
            if value < 16 or value % 16:
                low = max(16, value // 16 * 16)
                raise ValueError(f"{name} {value} is not a multiple of 16; nearest: {low} or {low + 16}")
        if frames < 1 or (frames - int(first)) % TIME:
            raise ValueError(f"{frames} frames cannot be encoded; a first chunk has 4k + 1 frames, a later one 4k")
