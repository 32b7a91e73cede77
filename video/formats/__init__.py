# SPDX-License-Identifier: GPL-3.0-or-later
"""What videos can be written as: the data files of this folder, and which of them the running libav can do."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

import av

from ..errors import VideoError

FOLDER = Path(__file__).resolve().parent
LEVELS = ("draft", "good", "high", "best")
DEFAULT_LEVEL = "high"


@dataclass(frozen=True)
class Encoder:
    """One of libav's encoders and how it is set: see the comments in the data files.

    ``quality`` names the option that a level sets, or several with blanks between them.
    """

    name: str
    pixels: str
    hardware: bool = False
    quality: str = ""
    levels: dict[str, int | str] = field(default_factory=dict)
    options: dict[str, str] = field(default_factory=dict)
    palette: bool = False
    matrix: str = "bt709"


@dataclass(frozen=True)
class Codec:
    """A way to compress pictures, with the encoders that do it, the preferred one first."""

    name: str
    title: str
    containers: tuple[str, ...]
    encoders: tuple[Encoder, ...]
    levels: dict[str, int | str] = field(default_factory=dict)
    even: bool = False
    least: int = 1
    keyframes: float = 0.0
    lossless: bool = False
    internal: bool = False
    tag: str = ""

    def present(self, hardware: bool = True) -> list[Encoder]:
        """Return the encoders that the running libav has."""
        return [e for e in self.encoders if e.name in av.codecs_available and (hardware or not e.hardware)]


@dataclass(frozen=True)
class Container:
    """A file format: see the comments in ``containers.toml``."""

    name: str
    suffix: str
    muxer: str = ""
    options: dict[str, str] = field(default_factory=dict)
    sound: str = ""
    sound_bits: int = 0
    tags: str = "none"
    credentials: str = ""
    shown: str = "none"
    merges: bool = False
    most_fps: float = 0.0


@dataclass(frozen=True)
class Format:
    """A codec in a container, the thing that a user chooses."""

    codec: Codec
    container: Container

    @property
    def name(self) -> str:
        """Return its name in workflows, such as "h264 mp4"."""
        same = self.codec.name == self.container.name
        return self.codec.name if same else f"{self.codec.name} {self.container.name}"

    def missing(self) -> str:
        """Say what the running libav lacks for it; nothing if it can be written."""
        software = [encoder.name for encoder in self.codec.encoders if not encoder.hardware]
        if not self.codec.present():
            return f"this PyAV has no encoder for it ({', '.join(software)})"
        if self.container.muxer and self.container.muxer not in av.formats_available:
            return f"this PyAV cannot write {self.container.muxer} files"
        return ""


@lru_cache(maxsize=1)
def codecs() -> dict[str, Codec]:
    """Return all codecs of the data files by name."""
    found = {}
    for path in sorted(FOLDER.glob("*.toml")):
        if path.stem != "containers":
            data = tomllib.loads(path.read_text(encoding="utf-8"))
            encoders = tuple(Encoder(**entry) for entry in data.pop("encoders"))
            found[path.stem] = Codec(path.stem, containers=tuple(data.pop("containers")), encoders=encoders, **data)
    return found


@lru_cache(maxsize=1)
def containers() -> dict[str, Container]:
    """Return all containers by name."""
    data = tomllib.loads((FOLDER / "containers.toml").read_text(encoding="utf-8"))
    return {name: Container(name, **entry) for name, entry in data.items()}


def formats() -> dict[str, Format]:
    """Return what can be chosen, by name: every codec in each of its containers."""
    order = ("h264", "h265", "av1", "vp9", "prores", "prores4444", "gif", "webp", "apng", "png")
    chosen = sorted(codecs().values(), key=lambda c: order.index(c.name) if c.name in order else len(order))
    pairs = [Format(codec, containers()[name]) for codec in chosen if not codec.internal for name in codec.containers]
    return {pair.name: pair for pair in pairs}


def find_format(name: str) -> Format:
    """Return a format by its name. Raises VideoError for an unknown one and for one that cannot be written here."""
    known = formats()
    if name not in known:
        offered = ", ".join(key for key, value in known.items() if not value.missing())
        raise VideoError(f'There is no format "{name}": choose one of {offered}.')
    lacking = known[name].missing()
    if lacking:
        raise VideoError(f'"{name}" cannot be written here: {lacking}. Choose another format.')
    return known[name]


def find_pair(container: str, codec: str) -> Format:
    """Return a format by container and codec. Raises VideoError for an unknown pair."""
    if container not in containers():
        usual = [name for name, entry in containers().items() if entry.muxer]
        raise VideoError(f'Videos cannot be written as "{container}": use one of {", ".join(usual)}.')
    takes = [name for name, entry in codecs().items() if container in entry.containers and not entry.internal]
    if codec not in codecs() or container not in codecs()[codec].containers:
        raise VideoError(f'{container} files take {" or ".join(takes)}, not "{codec}".')
    return Format(codecs()[codec], containers()[container])


def settings_of(codec: Codec, encoder: Encoder, rate: Fraction, level: str, crf: float | None) -> dict[str, str]:
    """Return the options that an encoder is opened with."""
    options = dict(encoder.options)
    if encoder.quality:
        levels = encoder.levels or codec.levels
        if level not in levels:
            raise VideoError(f'"{level}" is no quality: choose one of {", ".join(LEVELS)}.')
        value: Any = levels[level]
        if crf is not None and not isinstance(value, str):
            value = float(crf)
        text = value if isinstance(value, str) else f"{value:g}"
        options.update(dict.fromkeys(encoder.quality.split(), text))
    if codec.keyframes:
        options["g"] = str(max(1, round(codec.keyframes * rate)))  # players can seek
    return options
