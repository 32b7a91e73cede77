# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of a codec's encoders is used: one in hardware where it really opens here, else software.

That libav knows an encoder says nothing about this computer: each one in hardware is opened and given a picture before
it is chosen. The answer is kept, and what does not work is logged once.
"""

from __future__ import annotations

import logging
from fractions import Fraction
from functools import lru_cache
from typing import Any, cast

import av
import numpy as np

from .errors import VideoError
from .formats import DEFAULT_LEVEL, Codec, Encoder, codecs, settings_of

log = logging.getLogger(__name__)
TRIAL_SIZE, TRIAL_RATE = (640, 384), Fraction(24)  # every known encoder takes it
_told: set[str] = set()


def pick_encoder(codec: Codec, size: tuple[int, int], rate: Fraction, level: str, hardware: bool) -> Encoder:
    """Return the first encoder that works for pictures of ``size`` (width, height).

    With ``hardware`` the ones in hardware are tried first. Raises VideoError for pictures that are too small and where
    libav has no encoder at all.
    """
    if min(size) < codec.least:
        raise VideoError(
            f"{codec.name} takes pictures of at least {codec.least}x{codec.least} pixels, and these are "
            f"{size[0]}x{size[1]}: choose another format."
        )
    for encoder in codec.present(hardware):
        if not encoder.hardware:
            return encoder
        reason = trial(codec.name, encoder.name, size, rate, level)
        if not reason:
            return encoder
        give_up(encoder, reason)
    lacking = ", ".join(encoder.name for encoder in codec.encoders if not encoder.hardware)
    raise VideoError(f"This PyAV has no encoder for {codec.name} ({lacking}): choose another format.")


def give_up(encoder: Encoder, reason: str) -> None:
    """Log once in a process that an encoder in hardware is passed over."""
    if encoder.name not in _told:
        _told.add(encoder.name)
        log.info("%s does not work here (%s): the next encoder is used.", encoder.name, reason)


@lru_cache(maxsize=64)
def trial(codec_name: str, name: str, size: tuple[int, int], rate: Fraction, level: str) -> str:
    """Open an encoder and give it a picture of ``size``; return what went wrong, nothing if it works."""
    codec = codecs()[codec_name]
    encoder = next(entry for entry in codec.encoders if entry.name == name)
    try:
        context = cast(Any, av.CodecContext.create(name, "w"))
        context.width, context.height, context.pix_fmt = *size, encoder.pixels
        context.time_base, context.framerate = 1 / rate, rate
        context.options = settings_of(codec, encoder, rate, level, None)
        picture = av.VideoFrame.from_ndarray(np.zeros((size[1], size[0], 3), np.uint8), format="rgb24")
        picture = picture.reformat(format=encoder.pixels)
        picture.pts, picture.time_base = 0, 1 / rate
        packets = [*context.encode(picture), *context.encode(None)]
    except (av.FFmpegError, ValueError, RuntimeError) as error:
        return str(getattr(error, "strerror", None) or error)
    return "" if any(packet.size for packet in packets) else "it gives no data"


def survey() -> dict[str, str]:
    """Try every encoder in hardware that libav has; return what is wrong with each, nothing for one that works."""
    return {
        encoder.name: trial(codec.name, encoder.name, TRIAL_SIZE, TRIAL_RATE, DEFAULT_LEVEL)
        for codec in codecs().values()
        for encoder in codec.present()
        if encoder.hardware
    }
