# SPDX-License-Identifier: GPL-3.0-or-later
"""Any VAE of the host as a stream: latent frames to pixels and back, a few at a time.

Three ways, best first: a causal VAE that hands its state from chunk to chunk (ours, Wan's), so that chunked equals
whole; overlapping windows in time with cross-faded seams (every other video VAE); picture by picture (image VAEs).
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

import comfy.model_management as mm
import numpy as np
import torch
from torch import Tensor

from ..video.errors import VideoError
from ..video.frames import Frame, chunked, to_bytes, to_floats
from .families.wan_vae import wan_codec

WINDOW, OVERLAP = 9, 3  # latent frames
CPU_PIXELS = 1 << 20  # pixels in one chunk without a GPU: larger chunks are no faster there
MOST_LATENTS = 16
log = logging.getLogger(__name__)
Progress = Callable[[int], None]  # called with the number of frames done; may raise to cancel


class Latents(Protocol):
    """A tensor (B, C, T, h, w), or what stands for one and makes the latent frames that are asked for."""

    @property
    def shape(self) -> torch.Size:
        """Return the size."""

    @property
    def ndim(self) -> int:
        """Return the number of dimensions."""

    def __getitem__(self, key: Any) -> Tensor:
        """Return a part."""


class Codec(Protocol):
    """A causal VAE that carries its past in a state. A call must leave the state it was given usable."""

    time: int  # frames in one latent frame, the first apart
    chunk: int | None  # latent frames whose pixels are encoded in one call, None: any number
    default_rate: int

    def decode_count(self, done: int, wanted: int) -> int:
        """Return the number of latent frames that the next ``decode`` takes."""

    def decode(self, latent: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Decode (B, C, T, h, w) to (B, 3, F, H, W) in about -1..1."""

    def encode(self, pixels: Tensor, state: Any, last: bool) -> tuple[Tensor | None, Any]:
        """Encode (B, 3, F, H, W) in -1..1; None: the latent frames come with the next call."""


class OwnCodec:
    """This pack's VideoVAE (or any with its ``encode_chunk`` and ``decode_chunk``): chunks of any size."""

    time = 4
    chunk: int | None = None
    default_rate = 8

    def __init__(self, model: Any) -> None:
        self._model = model

    def decode_count(self, done: int, wanted: int) -> int:
        """Latent frames that the next ``decode`` takes."""
        return wanted

    def decode(self, latent: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Decode (B, C, T, h, w) to (B, 3, F, H, W) in about -1..1."""
        return self._model.decode_chunk(latent, state)

    def encode(self, pixels: Tensor, state: Any, last: bool) -> tuple[Tensor | None, Any]:
        """Encode (B, 3, F, H, W) in -1..1 to (B, C, T, h, w)."""
        return self._model.encode_chunk(pixels, state)


def codec_of(vae: Any) -> Codec | None:
    """Return the way to stream ``vae`` with carried state, or None if it has none."""
    model = vae.first_stage_model
    if hasattr(model, "decode_chunk") and hasattr(model, "encode_chunk"):
        return OwnCodec(model)
    return wan_codec(model)


def default_rate(vae: Any) -> int:
    """Frames per second that the VAE's model was made for, as far as known."""
    codec = codec_of(vae)
    return 24 if codec is None else codec.default_rate


def is_image_vae(vae: Any) -> bool:
    """Whether the VAE knows pictures only: then a batch of latents is a clip."""
    return vae.latent_dim == 2


def frame_count(vae: Any, latents: int) -> int:
    """Number of frames that ``latents`` latent frames decode to."""
    ratio = vae.upscale_ratio
    return int(ratio[0](latents)) if isinstance(ratio, (tuple, list)) and not is_image_vae(vae) else latents


def pixel_size(vae: Any, latent: Latents) -> tuple[int, int]:
    """Width and height in pixels of a latent (..., h, w)."""
    ratio = vae.spacial_compression_decode()
    return int(latent.shape[-1] * ratio), int(latent.shape[-2] * ratio)


def size_multiple(vae: Any) -> int:
    """What width and height must be multiples of: the VAE's ratio, times a patch of two where that is usual."""
    ratio = int(vae.spacial_compression_encode())
    return ratio * 2 if ratio <= 16 else ratio


# -- decoding ------------------------------------------------------------------------------------------------------


def decode_frames(
    vae: Any, latent: Latents, progress: Progress | None = None, most: int = MOST_LATENTS
) -> Iterator[Frame]:
    """Yield the frames (uint8 (H, W, 3)) of one clip, (1, C, T, h, w); for an image VAE (T, C, h, w).

    ``most`` latent frames at once are asked for, by a VAE that carries its state.
    """
    done = 0
    for images in _decode_chunks(vae, latent, most):
        if not torch.isfinite(images).all():
            raise VideoError(
                f"The VAE gave values that are no numbers from frame {done + 1} on: it needs a higher precision "
                "(start ComfyUI with --fp32-vae or --bf16-vae)."
            )
        done += len(images)
        if progress is not None:
            progress(done)
        yield from to_bytes(images)


def _decode_chunks(vae: Any, latent: Latents, most: int) -> Iterator[Tensor]:
    """Yield images (F, H, W, 3) in about 0..1."""
    codec = codec_of(vae)
    if is_image_vae(vae):
        yield from _decode_pictures(vae, latent)
    elif codec is None:
        yield from _decode_windows(vae, latent)
    else:
        done = 0
        try:
            for images in _decode_causal(vae, codec, latent, most):
                yield images
                done += len(images)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            log.warning("Not enough memory to decode a whole picture at once: decoding tiles instead.")
        else:
            return
        yield from _skip(_decode_windows(vae, latent), done)


def _decode_causal(vae: Any, codec: Codec, latent: Latents, most: int) -> Iterator[Tensor]:
    state, done, total = None, 0, latent.shape[2]
    chunk = min(most, _chunk_latents(vae, latent))
    while done < total:
        count = min(codec.decode_count(done, chunk), total - done)
        piece, images = latent[:, :, done : done + count], None
        try:
            with _loaded(vae, vae.memory_used_decode(piece.shape, vae.vae_dtype)):
                pixels, new_state = codec.decode(piece.to(vae.device, vae.vae_dtype), state)
                images = vae.process_output(pixels.to(vae.output_device, torch.float32))[0].movedim(0, -1)
                del pixels
        except Exception as error:
            if not is_out_of_memory(error) or codec.decode_count(done, max(1, count // 2)) >= count:
                raise
        if images is None:  # here, where the error no longer holds the tensors it stopped at
            chunk = max(1, count // 2)
            log.warning("Not enough memory to decode %d latent frames at once: trying %d.", count, chunk)
            mm.soft_empty_cache()
            continue
        state, done = new_state, done + count
        yield images


def _decode_windows(vae: Any, latent: Latents) -> Iterator[Tensor]:
    ratio, total = _time_ratio(vae), latent.shape[2]
    seam = _Crossfade()
    begin = 0
    while True:
        end = min(total, begin + WINDOW)
        with torch.inference_mode():
            images = vae.decode(latent[:, :, begin:end])
        images = images.reshape(-1, *images.shape[-3:]).float()
        last = end == total
        following = begin + WINDOW - OVERLAP
        yield seam.join(images, None if last else (following - begin) * ratio)
        if last:
            return
        begin = following


def _decode_pictures(vae: Any, latent: Latents) -> Iterator[Tensor]:
    step = max(1, min(MOST_LATENTS, _chunk_latents(vae, latent)))
    for begin in range(0, latent.shape[0], step):
        with torch.inference_mode():
            yield vae.decode(latent[begin : begin + step]).float()


# -- encoding ------------------------------------------------------------------------------------------------------


def encode_frames(vae: Any, frames: Iterable[Frame], progress: Progress | None = None) -> Tensor:
    """Encode a stream of frames (uint8 (H, W, 3), size a legal one) to (1, C, T, h, w); an image VAE: (T, C, h, w).

    Frames at the end that do not fill a latent frame are dropped. Raises VideoError when there is no frame.
    """
    codec = codec_of(vae)
    stream = iter(frames)
    first = next(stream, None)
    if first is None:
        raise VideoError("The video has no frames to encode.")
    counted = _count(_chain(first, stream), progress)
    if is_image_vae(vae):
        return torch.cat([_host_encode(vae, to_floats(part)) for part in chunked(counted, 4, 4)])
    parts = _encode_windows(vae, counted) if codec is None else _encode_causal(vae, codec, counted, first)
    return torch.cat(list(parts), 2)


def _encode_causal(vae: Any, codec: Codec, frames: Iterable[Frame], sample: Frame) -> Iterator[Tensor]:
    height, width = sample.shape[:2]
    latents = codec.chunk or max(1, min(MOST_LATENTS, CPU_PIXELS // (height * width * codec.time)))
    groups = _legal(chunked(frames, 1 + codec.time * (latents - 1), codec.time * latents), codec.time)
    state: Any = None
    for part, last in _with_last(groups):
        pieces, state = _encode_part(vae, codec, part, state, last)
        yield from pieces


def _encode_part(vae: Any, codec: Codec, part: np.ndarray, state: Any, last: bool) -> tuple[list[Tensor], Any]:
    """Encode some frames, in two halves where memory lacks; return the latent frames and the new state."""
    try:
        pixels = to_floats(part).movedim(-1, 0)[None]
        with _loaded(vae, vae.memory_used_encode(pixels.shape, vae.vae_dtype)):
            latent, new_state = codec.encode(vae.process_input(pixels).to(vae.device, vae.vae_dtype), state, last)
            return ([] if latent is None else [latent.to(vae.output_device, torch.float32)]), new_state
    except Exception as error:
        alone = int(state is None)  # the frame that is a latent frame of its own
        half = alone + (len(part) - alone) // codec.time // 2 * codec.time
        if not is_out_of_memory(error) or not 0 < half < len(part):
            raise
    log.warning("Not enough memory to encode %d frames at once: trying %d.", len(part), half)
    mm.soft_empty_cache()
    early, state = _encode_part(vae, codec, part[:half], state, False)
    late, state = _encode_part(vae, codec, part[half:], state, last)
    return early + late, state


def _encode_windows(vae: Any, frames: Iterable[Frame]) -> Iterator[Tensor]:
    ratio = _time_ratio(vae)
    lone_first = frame_count(vae, 1) == 1  # causal VAEs: one frame, then groups
    size = (WINDOW - 1) * ratio + 1 if lone_first else WINDOW * ratio
    step = (WINDOW - OVERLAP) * ratio
    seam = _Crossfade(axis=2)
    held: np.ndarray | None = None
    for part, last in _with_last(chunked(frames, size, step)):
        window = part if held is None else np.concatenate([held, part])
        if last:
            odd = (len(window) - 1) % ratio if lone_first else len(window) % ratio
            if lone_first or len(window) > odd:  # a clip shorter than one group is left to the VAE
                window = window[: len(window) - odd]
        latent = _host_encode(vae, to_floats(window))
        yield seam.join(latent, None if last else WINDOW - OVERLAP)
        held = window[step:]


def _host_encode(vae: Any, images: Tensor) -> Tensor:
    with torch.inference_mode():
        return vae.encode(images).float()


# -- parts ---------------------------------------------------------------------------------------------------------


class _Crossfade:
    """Joins overlapping windows along ``axis``: a later window's first entry counts nothing, then ever more."""

    def __init__(self, axis: int = 0) -> None:
        self._axis = axis
        self._tail: Tensor | None = None

    def join(self, window: Tensor, stop: int | None) -> Tensor:
        """Return what is final of ``window`` and keep the rest, from ``stop`` on (None: keep none)."""
        axis = self._axis
        if self._tail is not None:
            count = min(self._tail.shape[axis], window.shape[axis])
            shape = [1] * window.ndim
            shape[axis] = count
            weight = (torch.arange(count, dtype=window.dtype, device=window.device) / count).reshape(shape)
            mixed = torch.lerp(self._tail.narrow(axis, 0, count), window.narrow(axis, 0, count), weight)
            window = torch.cat([mixed, window.narrow(axis, count, window.shape[axis] - count)], axis)
        if stop is None:
            return window
        self._tail = window.narrow(axis, stop, window.shape[axis] - stop).clone()
        return window.narrow(axis, 0, stop)


@contextlib.contextmanager
def _loaded(vae: Any, memory: float) -> Iterator[None]:
    """Have the host bring the VAE to its device with ``memory`` bytes to spare; no gradients inside."""
    with contextlib.ExitStack() as stack:
        if hasattr(mm, "cuda_device_context"):  # not in 0.3.75
            stack.enter_context(mm.cuda_device_context(vae.device))
        full = getattr(vae, "disable_offload", False)
        mm.load_models_gpu([vae.patcher], memory_required=memory, force_full_load=full)
        stack.enter_context(torch.inference_mode())
        yield


def _chunk_latents(vae: Any, latent: Latents) -> int:
    """Latent frames to decode at once: as many as fit comfortably, and never the whole of a long clip."""
    width, height = pixel_size(vae, latent)
    if mm.is_device_cpu(vae.device):
        return max(1, min(MOST_LATENTS, CPU_PIXELS // (width * height * _time_ratio(vae))))
    shape = (1, *latent.shape[1:2], 1, *latent.shape[-2:]) if latent.ndim == 5 else (1, *latent.shape[1:])
    one = max(1.0, float(vae.memory_used_decode(shape, vae.vae_dtype)))
    return max(1, min(MOST_LATENTS, int(0.5 * mm.get_free_memory(vae.device) / one)))


def _time_ratio(vae: Any) -> int:
    return 1 if is_image_vae(vae) else int(vae.temporal_compression_decode() or 1)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether ``error`` is the device's lack of memory, in the running host's own words."""
    if hasattr(mm, "is_oom"):  # not in 0.3.75
        return bool(mm.is_oom(error))
    return mm.OOM_EXCEPTION is not Exception and isinstance(error, mm.OOM_EXCEPTION)


def _legal(chunks: Iterable[np.ndarray], time: int) -> Iterator[np.ndarray]:
    """Drop the frames of a last chunk that do not fill a latent frame; a first chunk has one frame more."""
    for index, part in enumerate(chunks):
        odd = (len(part) - (index == 0)) % time
        if len(part) > odd:
            yield part[: len(part) - odd]


def _with_last(items: Iterable[np.ndarray]) -> Iterator[tuple[np.ndarray, bool]]:
    """Yield each item and whether it is the last one."""
    held: np.ndarray | None = None
    for item in items:
        if held is not None:
            yield held, False
        held = item
    if held is not None:
        yield held, True


def _count(frames: Iterable[Frame], progress: Progress | None) -> Iterator[Frame]:
    for index, frame in enumerate(frames, 1):
        yield frame
        if progress is not None:
            progress(index)


def _chain(first: Frame, rest: Iterator[Frame]) -> Iterator[Frame]:
    yield first
    yield from rest


def _skip(chunks: Iterable[Tensor], count: int) -> Iterator[Tensor]:
    """Leave out the first ``count`` images."""
    for images in chunks:
        if count < len(images):
            yield images[count:]
        count = max(0, count - len(images))
