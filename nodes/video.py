# SPDX-License-Identifier: GPL-3.0-or-later
"""Video to latent and back, streamed: memory does not grow with the length of the clip."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from functools import partial
from typing import Any

import comfy.model_management as mm
import comfy.utils
import torch
from comfy_api.latest import io, ui
from torch import Tensor

from ..video.errors import VideoError
from ..video.frames import FITS, Frame, as_rate, legal_size
from . import progress, vae_stream
from .lazy_video import LazyVideo
from .schema import CATEGORY, inp, pixels, schema
from .video_input import VideoStream


class EncodeVideo(io.ComfyNode):
    """VIDEO to LATENT, streamed."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node to the host."""
        return schema(
            node_id="SpacetimeEncodeVideo",
            display_name="Encode Video",
            category=f"{CATEGORY}/video",
            description="Turn a video into a latent, a few frames at a time. Width and height go to the nearest size "
            "that the VAE takes; frames at the end that do not fill a latent frame are dropped. Frame rate and sound "
            "travel with the latent.",
            search_aliases=["video to latent", "vae encode video", "load video latent"],
            inputs=[
                inp(io.Video.Input, "video", tooltip="The video to encode, at any size, rate and length."),
                inp(io.Vae.Input, "vae", tooltip="The VAE of the model that will use the latent."),
                pixels(
                    "width", "Width of the clip in pixels. 0: from the video (or from the height, keeping its shape)."
                ),
                pixels(
                    "height", "Height of the clip in pixels. 0: from the video (or from the width, keeping its shape)."
                ),
                inp(
                    io.Combo.Input,
                    "fit",
                    options=list(FITS),
                    default="crop",
                    tooltip="How the picture meets the new size: crop cuts edges, pad adds bars, stretch distorts.",
                ),
                inp(
                    io.Float.Input,
                    "fps",
                    default=0.0,
                    min=0.0,
                    max=240.0,
                    step=0.01,
                    tooltip="Frames per second to encode at; motion keeps its speed. 0: every frame of the video.",
                ),
            ],
            outputs=[
                io.Latent.Output(display_name="latent", tooltip="The clip's latent, with its frame rate and sound.")
            ],
        )

    @classmethod
    def execute(
        cls, video: Any, vae: Any, width: int = 0, height: int = 0, fit: str = "crop", fps: float = 0.0
    ) -> io.NodeOutput:
        """Encode; see the schema."""
        check_vae(vae)
        stream = VideoStream(video)
        rate = as_rate(fps) if fps else stream.rate
        size = _wanted_size(stream, width, height, vae_stream.size_multiple(vae))
        total = max(1, round(stream.count * rate / stream.rate))
        bar = _Progress(total)
        frames = stream.frames(rate if fps else None, size, fit)
        samples = vae_stream.encode_frames(vae, frames, bar.show)
        latent: dict[str, Any] = {"samples": samples, "frame_rate": float(rate)}
        sound = stream.audio()
        if sound is not None:
            latent["audio"] = sound
        count = samples.shape[0] if samples.ndim == 4 else vae_stream.frame_count(vae, samples.shape[2])
        text = f"{count} frames, {size[0]}x{size[1]}, {float(rate):g} fps, {float(count / rate):.2f} s"
        return io.NodeOutput(latent, ui=ui.PreviewText(text))


class DecodeVideo(io.ComfyNode):
    """LATENT to a lazy VIDEO."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node to the host."""
        return schema(
            node_id="SpacetimeDecodeVideo",
            display_name="Decode Video",
            category=f"{CATEGORY}/video",
            description="Turn a latent into a video that is decoded while it is saved, a few frames at a time, so that "
            "length costs no memory. A batch gives one video for each of its clips.",
            search_aliases=["latent to video", "vae decode video"],
            inputs=[
                inp(io.Latent.Input, "samples", tooltip="The latent to decode: a clip, a batch of clips or an image."),
                inp(io.Vae.Input, "vae", tooltip="The VAE of the model that made the latent."),
                inp(
                    io.Float.Input,
                    "fps",
                    default=0.0,
                    min=0.0,
                    max=240.0,
                    step=0.01,
                    tooltip="Frames per second of the video. 0: the latent's own rate (or the usual one of the model).",
                ),
                inp(
                    io.Audio.Input,
                    "audio",
                    optional=True,
                    tooltip="Sound for the video; without it the latent's own sound.",
                ),
            ],
            outputs=[
                io.Video.Output(
                    display_name="video", is_output_list=True, tooltip="The video; stock Save Video writes it."
                )
            ],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def execute(cls, samples: dict[str, Any], vae: Any, fps: float = 0.0, audio: Any = None) -> io.NodeOutput:
        """Make the lazy videos; see the schema."""
        check_vae(vae)
        clips = split_clips(vae, samples.get("samples"))
        rate = as_rate(fps or samples.get("frame_rate") or vae_stream.default_rate(vae))
        sound = samples.get("audio") if audio is None else audio
        node = getattr(cls.hidden, "unique_id", None)
        made_by = f"Decode Video (node {node})" if node else "Decode Video"
        videos = [
            lazy_decode(vae, clip, rate, audio=nth_sound(sound, index), made_by=made_by)
            for index, clip in enumerate(clips)
        ]
        return io.NodeOutput(videos)


def lazy_decode(
    vae: Any,
    clip: Tensor,
    rate: float | Fraction,
    *,
    audio: dict[str, Any] | None = None,
    made_by: str = "Decode Video",
) -> LazyVideo:
    """Return a VIDEO that decodes ``clip`` ((1, C, T, h, w), for an image VAE (T, C, h, w)) while it is read."""
    width, height = vae_stream.pixel_size(vae, clip)
    count = vae_stream.frame_count(vae, clip.shape[2] if clip.ndim == 5 else clip.shape[0])
    make = partial(decode_with_progress, vae, clip, count)
    return LazyVideo(make, width, height, count, rate, audio=audio, made_by=made_by)


def decode_with_progress(vae: Any, clip: Tensor, count: int) -> Iterator[Frame]:
    """Decode with progress and cancel in whichever node reads: both belong to the node that runs now."""
    return vae_stream.decode_frames(vae, clip, _Progress(count).show)


class _Progress:
    """The host's progress bar; it raises where the user has cancelled."""

    def __init__(self, total: int) -> None:
        self._bar, self._total = comfy.utils.ProgressBar(total), total

    def show(self, done: int) -> None:
        """Show ``done`` of the total."""
        mm.throw_exception_if_processing_interrupted()
        if not progress.is_taken():  # a node that writes shows what is written
            self._bar.update_absolute(done, max(done, self._total))


def check_vae(vae: Any) -> None:
    """Raise VideoError unless ``vae`` is one that holds pictures or videos."""
    if vae is None or getattr(vae, "first_stage_model", None) is None:
        raise VideoError("The VAE input holds no VAE: choose a file that contains one.")
    if vae.latent_dim not in (2, 3):
        raise VideoError("This VAE is for sound, not for pictures: connect the VAE of a video model.")


def split_clips(vae: Any, samples: Any) -> list[Tensor]:
    """Return the clips of a LATENT's samples, each (1, C, T, h, w), for an image VAE one (T, C, h, w).

    A 4-D latent (B, C, h, w) is, for a video VAE, a batch of one-frame clips. Raises VideoError for a latent of another
    model, one without frames and one with values that are no numbers.
    """
    if getattr(samples, "is_nested", False):
        raise VideoError("This latent holds picture and sound together: separate them before decoding the video.")
    if not isinstance(samples, Tensor) or samples.ndim not in (4, 5):
        shape = tuple(samples.shape) if isinstance(samples, Tensor) else type(samples).__name__
        raise VideoError(f"This is no latent of pictures or video: its shape is {shape}.")
    if 0 in samples.shape:
        raise VideoError(f"The latent has no frames: its shape is {tuple(samples.shape)}.")
    images = vae_stream.is_image_vae(vae)
    if samples.shape[1] != vae.latent_channels:
        raise VideoError(
            f"The latent has {samples.shape[1]} channels, but this VAE decodes {vae.latent_channels}: they belong to "
            "different models. Connect the VAE of the model that made the latent."
        )
    clips = samples.detach()
    if clips.ndim == 4:
        clips = clips.movedim(0, 1)[None] if images else clips[:, :, None]  # an image VAE's batch is its clip
    for clip in clips:
        check_numbers(clip)
    if images:
        return [clip.movedim(1, 0) for clip in clips]
    return list(clips.split(1))


def check_numbers(clip: Tensor) -> None:
    """Raise VideoError naming the first latent frame of ``clip`` (C, T, h, w) that holds NaN or infinity."""
    bad = (~torch.isfinite(clip)).flatten(2).any(2).any(0)
    if bad.any():
        number = int(bad.nonzero()[0, 0]) + 1
        raise VideoError(
            f"Latent frame {number} of {len(bad)} holds values that are no numbers (NaN or infinity; "
            f"{int(bad.sum())} such frames): the sampling before it has failed. Try another sampler, a lower guidance "
            "or a higher precision."
        )


def _wanted_size(stream: VideoStream, width: int, height: int, multiple: int) -> tuple[int, int]:
    if not width:
        width = round(stream.width * height / stream.height) if height else stream.width
    if not height:
        height = round(stream.height * width / stream.width)
    return legal_size(width, height, multiple)


def nth_sound(audio: Any, index: int) -> dict[str, Any] | None:
    """Return the sound of clip ``index``: its own if there is one for each, else the first."""
    if audio is None:
        return None
    waveform = audio["waveform"]
    return {**audio, "waveform": waveform[index : index + 1] if index < len(waveform) else waveform[:1]}


NODES = [EncodeVideo, DecodeVideo]
