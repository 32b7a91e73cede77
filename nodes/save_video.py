# SPDX-License-Identifier: GPL-3.0-or-later
"""A VIDEO to a file of any format of ``video/formats``, a frame at a time, whole or not at all, and signed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import folder_paths
from comfy.cli_args import args
from comfy_api.latest import io

from ..video import credentials
from ..video.certificate import Identity, load_identity
from ..video.errors import VideoError
from ..video.formats import DEFAULT_LEVEL, LEVELS, Format, find_format, formats
from ..video.frames import Frame
from ..video.reader import probe
from ..video.sequence import SOUND_NAME, SequenceWriter, picture_name, read_sequence
from ..video.timing import read_timing
from ..video.writer import VideoWriter, WrittenVideo, write_all
from .errors import InputError
from .file_names import inside
from .lazy_video import LazyVideo
from .load_video import Reading, open_file
from .progress import Progress
from .provenance import claim_of, credentials_folder
from .schema import CATEGORY, inp, schema
from .video_input import VideoStream

FILES = "spacetime_files"  # what the front end need not show
CODEC_DECIDES = -1.0


class SaveVideo(io.ComfyNode):
    """VIDEO to a file in the output folder."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node to the host."""
        offered = [name for name, chosen in formats().items() if not chosen.missing()]
        titles = "; ".join(
            f"{codec.name} = {codec.title}"
            for codec in {f.codec.name: f.codec for f in map(find_format, offered)}.values()
        )
        return schema(
            node_id="SpacetimeSaveVideo",
            display_name="Save Video (Spacetime)",
            category=f"{CATEGORY}/video",
            description="Write a video a frame at a time, so that its length costs no memory, in any of the formats "
            "that this computer can write. A file appears when it is whole and was read back; a cancel or a full disk "
            "leaves nothing. It says inside how it was made, signed, where the format can carry that.",
            search_aliases=["export video", "write video", "gif", "prores", "webp", "image sequence", "c2pa"],
            inputs=[
                inp(io.Video.Input, "video", tooltip="The video to save."),
                inp(
                    io.String.Input,
                    "filename_prefix",
                    default="video/Spacetime",
                    tooltip="Begin of the file's name, with folders inside the output folder; a number is added.",
                ),
                inp(io.Combo.Input, "format", options=offered, default="h264 mp4", tooltip=f"{titles}."),
                inp(
                    io.Combo.Input,
                    "quality",
                    options=list(LEVELS),
                    default=DEFAULT_LEVEL,
                    tooltip="Better is larger. Exact formats (apng, png) know no difference.",
                ),
                inp(
                    io.Float.Input,
                    "crf",
                    default=CODEC_DECIDES,
                    min=CODEC_DECIDES,
                    max=63.0,
                    step=0.5,
                    advanced=True,
                    tooltip="The codec's own number for quality, lower is better (h264, h265, av1, vp9); it takes "
                    "the software encoder. -1: by quality.",
                ),
                inp(
                    io.Boolean.Input,
                    "hardware",
                    default=True,
                    advanced=True,
                    tooltip="Use the graphics card's encoder where there is one that works. Off: always software.",
                ),
                inp(
                    io.Boolean.Input,
                    "credentials",
                    default=True,
                    tooltip="Sign the file: Content Credentials (C2PA) say that it is AI-generated, by which model and "
                    "from which input files. mp4, mov, gif, webp and png can carry them.",
                ),
            ],
            outputs=[io.Video.Output(display_name="saved", tooltip="The saved file as a video.")],
            hidden=[io.Hidden.prompt, io.Hidden.extra_pnginfo, io.Hidden.unique_id],
            is_output_node=True,
        )

    @classmethod
    def validate_inputs(cls, format: str | None = None) -> bool | str:
        """Say why a workflow's format cannot be written here, before anything runs; over a link it is not known yet."""
        try:
            if format is not None:
                find_format(format)
        except VideoError as error:
            return str(error)
        return True

    @classmethod
    def execute(
        cls,
        video: Any,
        filename_prefix: str = "video/Spacetime",
        format: str = "h264 mp4",
        quality: str = DEFAULT_LEVEL,
        crf: float = CODEC_DECIDES,
        hardware: bool = True,
        credentials: bool = True,
    ) -> io.NodeOutput:
        """Write the file; see the schema."""
        stream, chosen = VideoStream(video), find_format(format)
        target, subfolder = _target(filename_prefix, chosen, stream)
        prompt, extra = (getattr(cls.hidden, name, None) for name in ("prompt", "extra_pnginfo"))
        with_names = not args.disable_metadata
        metadata = {**(extra or {}), **({"prompt": prompt} if prompt is not None else {})} if with_names else {}
        signing = _Signing(chosen, credentials)
        node = getattr(cls.hidden, "unique_id", None)
        job = _Job(stream, chosen, target, metadata)
        claim = claim_of(target.name, prompt, node, with_names)
        written = job.write(quality, None if crf < 0 else crf, hardware and crf < 0, partial(signing.sign, claim=claim))
        text = ", ".join([*job.facts(written), *job.notes(written), signing.note])
        return io.NodeOutput(job.saved(written), ui=_shown(chosen, target, subfolder, written, text))


@dataclass
class _Job:
    """One video on its way into one file (or folder of pictures)."""

    stream: VideoStream
    format: Format
    target: Path
    metadata: dict[str, Any]

    def write(self, quality: str, crf: float | None, hardware: bool, sign: Any) -> WrittenVideo:
        """Write, sign and read back; whatever goes wrong, no file is left."""
        if quality not in LEVELS:
            raise InputError(f'"{quality}" is no quality: choose one of {", ".join(LEVELS)}.')
        rate = self.rate()
        options: dict[str, Any] = {"fps": rate, "audio": self.sound(), "metadata": self.metadata}
        if not self.format.container.muxer:
            return self._run(SequenceWriter(self.target, **options), rate, sign)
        options |= {"container": self.format.container.name, "codec": self.format.codec.name}
        writer = VideoWriter(self.target, quality=quality, crf=crf, hardware=hardware, **options)
        return self._run(writer, rate, sign, lambda path: _read_back(path, writer.count, rate, self.format))

    def _run(self, writer: Any, rate: Fraction, *steps: Any) -> WrittenVideo:
        total = max(1, round(self.stream.count * rate / self.stream.rate))
        with Progress(total).alone() as bar:
            return write_all(writer, self._frames(rate, bar), *steps)

    def _frames(self, rate: Fraction, bar: Progress) -> Iterator[Frame]:
        source, done = self.stream.frames(None if rate == self.stream.rate else rate), 0
        try:
            for frame in source:
                bar.show(done)
                yield frame
                done += 1
            bar.show(done)
        finally:
            source.close()  # type: ignore[attr-defined]

    def rate(self) -> Fraction:
        """Return the frames per second, halved until players keep up with the format."""
        rate, most = self.stream.rate, self.format.container.most_fps
        while most and rate > most:
            rate /= 2
        return rate

    def sound(self) -> Any:
        """Return the sound if the format takes any."""
        return self.stream.sound() if self.format.container.sound else None

    def facts(self, written: WrittenVideo) -> Iterator[str]:
        """Say what was written."""
        yield f"{self.target.name}: {self.format.name} ({written.encoder})"
        yield f"{written.frames} frames, {written.width}x{written.height}, {float(written.fps):g} fps"
        yield f"{written.duration:.2f} s, {_megabytes(self.target):.2f} MB"

    def notes(self, written: WrittenVideo) -> Iterator[str]:
        """Say what the format could not take."""
        container = self.format.container
        if not container.sound and self.stream.sound() is not None:
            yield f"without the sound: {container.name} is silent"
        if container.tags == "none" and self.metadata:
            yield f"without the workflow: {container.name} cannot carry it"
        if (written.width, written.height) != (self.stream.width, self.stream.height):
            yield "filled up to even sides"
        if written.fps != self.stream.rate:
            yield f"every other frame, since players slow down {container.name} above {container.most_fps:g} fps"

    def saved(self, written: WrittenVideo) -> LazyVideo:
        """Return what was written as a VIDEO."""
        if self.format.container.muxer:
            return open_file(Reading(self.target), "Save Video")
        read = partial(read_sequence, self.target)
        return LazyVideo(
            read, written.width, written.height, written.frames, written.fps,
            sound=self.stream.sound(), made_by="Save Video", keep_copy=False,
        )  # fmt: skip


class _Signing:
    """Whether and with what a file is signed; ``note`` says it afterwards."""

    def __init__(self, chosen: Format, wanted: bool) -> None:
        self._media_type, self._identity = chosen.container.credentials, None
        if not wanted:
            self.note = "no Content Credentials (switched off)"
        elif not self._media_type:
            self.note = f"no Content Credentials: {chosen.container.name} cannot carry them"
        elif not credentials.available():
            self.note = f"no Content Credentials: {credentials.INSTALL}"
        else:
            self._identity = load_identity(credentials_folder())  # before any work: it may be wrong
            self.note = "Content Credentials: signed"

    _identity: Identity | None

    def sign(self, path: Path, claim: credentials.Claim) -> None:
        """Sign the file at ``path``, if it is to be."""
        if self._identity is not None:
            credentials.sign(path, self._media_type, claim, self._identity)


def _target(prefix: str, chosen: Format, stream: VideoStream) -> tuple[Path, str]:
    """Return the file (or folder) to write and its folder's name inside the output folder."""
    output = folder_paths.get_output_directory()
    if not prefix.strip() or not inside(os.path.abspath(output), os.path.abspath(os.path.join(output, prefix))):
        raise InputError(f'filename_prefix "{prefix}" leads out of {output}: leave out ".." and leading slashes.')
    folder, name, counter, subfolder, _ = folder_paths.get_save_image_path(prefix, output, stream.width, stream.height)
    suffix = f".{chosen.container.suffix}" if chosen.container.suffix else ""
    return Path(folder) / f"{name}_{counter:05}_{suffix}", subfolder


def _read_back(path: Path, count: int, rate: Fraction, chosen: Format) -> None:
    """Raise VideoError unless the file at ``path`` is one of ``count`` frames at ``rate`` that can be decoded."""
    found, info = read_timing(path), probe(path)
    seconds, frame = float(count / rate), float(1 / rate)
    fits = abs(float(found.end) - seconds) <= max(1.5 * frame, 0.05) and (
        chosen.container.merges or found.count == count
    )
    if not fits or info.width < 1:
        raise VideoError(
            f"What was written does not read back: {found.count} frames, {float(found.end):.2f} s instead of {count} "
            f"frames, {seconds:.2f} s. Choose another format, or switch hardware off."
        )


def _megabytes(path: Path) -> float:
    files = path.iterdir() if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files) / 1e6


def _shown(chosen: Format, target: Path, subfolder: str, written: WrittenVideo, text: str) -> dict[str, Any]:
    """Return what the front end shows, and the names of all files for whoever delivers them."""
    if chosen.container.muxer:
        files = [{"filename": target.name, "subfolder": subfolder, "type": "output"}]
    else:
        names = [picture_name(index) for index in range(written.frames)]
        names += [SOUND_NAME] if (target / SOUND_NAME).exists() else []
        inner = os.path.join(subfolder, target.name)
        files = [{"filename": name, "subfolder": inner, "type": "output"} for name in names]
    shown: dict[str, Any] = {"text": (text,), FILES: files}
    if chosen.container.shown != "none":
        shown["images"] = files[:1]
    if chosen.container.shown == "video":
        shown["animated"] = (True,)
    return shown


NODES = [SaveVideo]
