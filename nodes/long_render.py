# SPDX-License-Identifier: GPL-3.0-or-later
"""From chunks to frames on disk: each chunk is decoded and written while the next is sampled, with one progress bar."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import comfy.model_management as mm
import comfy.utils
import latent_preview
import torch
from PIL import Image
from torch import Tensor

from ..models.chunk_files import ChunkFiles, blocks_of, digest_of, fits
from ..models.edits.rollout import KNOWN, Chunk
from ..models.edits.timeline import Timeline
from ..video.errors import VideoError
from ..video.frames import Frame
from ..video.segments import Segments, SegmentWriter
from ..video.sink import LEAST_FREE_BYTES
from . import progress, vae_stream
from .errors import InputError
from .rollout import Clip, Rollout
from .work_folder import WorkFolder

PIECE = 4  # latent frames that are decoded at once: the fewer, the sooner a finished chunk is seen
PREVIEW_SIDE = 512
COMPRESSION = 20  # how many times smaller the frames get without loss, at the very best


class Render:
    """What one render has finished and shows; its files are in ``folder``, which it holds."""

    def __init__(
        self, folder: WorkFolder, chunks: list[Chunk], clip: Clip, line: Timeline, vae: Any, steps: int, model: Any
    ) -> None:
        self._folder, self._chunks, self._clip, self._line, self._vae = folder, chunks, clip, line, vae
        self.files = ChunkFiles(folder.path, folder.path.name)
        self._order = sorted(range(len(chunks)), key=lambda index: chunks[index].begin)  # in time
        self._written = self._valid_segments()
        folder.clear_remains([*self.files.paths(), *self._written])
        self._check_disk()
        self._steps = steps
        sampled = [any(state != KNOWN for state in clip.state[chunk.begin : chunk.end]) for chunk in chunks]
        self._before = [0, *itertools.accumulate(steps * made for made in sampled)]  # steps before each chunk
        self._total = max(1, self._before[-1])
        self._bar = comfy.utils.ProgressBar(self._total)
        self._previewer = latent_preview.get_previewer(
            model.load_device, model.get_model_object("latent_format")
        )  # None where the host shows none

    def run(self, rollout: Rollout) -> Segments:
        """Make, decode and write what is not there yet. What is finished stays, whatever happens."""
        counts = [self._frames_of(index) for index in self._order]
        done = len(self._written)
        self._bar.update_absolute(self._before[len(self.files)], self._total)
        writer = SegmentWriter(self._folder.path, self._clip.rate, counts[done:], done, self._name)
        try:
            with writer:
                skip = sum(counts[:done])
                ends = set(itertools.accumulate(counts))
                for number, frame in enumerate(self._decoded(rollout, skip), skip + 1):
                    writer.write(frame)
                    if number in ends:
                        self._show_frame(frame)
                new = writer.finish()
        except (OSError, VideoError) as error:
            raise InputError(
                f"{error} {len(self.files)} of {len(self._chunks)} chunks are finished and kept: mend that and queue "
                "the same graph again, and it goes on from there."
            ) from error
        self._bar.update_absolute(self._total, self._total)
        self._folder.finished()
        return Segments((*self._written, *new), tuple(counts))

    def read(self, segments: Segments) -> Iterator[Frame]:
        """Yield the decoded clip's frames, with progress in the node that reads."""
        bar = progress.Progress(sum(segments.counts))
        for done, frame in enumerate(segments.frames()):
            if not progress.is_taken():
                bar.show(done)
            yield frame

    def show(self, index: int, step: int, prediction: Tensor) -> None:
        """Show a step of a chunk in the bar over the whole."""
        picture = None
        if self._previewer is not None:
            picture = self._previewer.decode_latent_to_preview_image("JPEG", prediction)
        done = min(self._before[index] + step, self._before[index + 1])
        self._bar.update_absolute(done, self._total, picture)

    def _show_frame(self, frame: Frame) -> None:
        done = self._before[len(self.files)]
        self._bar.update_absolute(done, self._total, ("JPEG", Image.fromarray(frame), PREVIEW_SIDE))

    # -- decoding

    def _decoded(self, rollout: Rollout, skip: int) -> Iterator[Frame]:
        """Yield the frames from number ``skip`` on; latent frames are made when the decoder asks for them.

        Where a render goes on, the decoder runs once more over what is finished of the scene: it carries its past.
        """
        done = 0
        for start, stop in itertools.pairwise([*rollout.starts, self._clip.length]):
            count = self._line.frames(stop) - self._line.frames(start)
            if done + count > skip:
                scene = SceneLatents(rollout, start, stop)
                stream = vae_stream.decode_frames(self._vae, scene, _stop_if_cancelled, PIECE)
                hidden = self._line.frames(scene.leads)
                try:
                    yield from itertools.islice(stream, hidden + max(0, skip - done), None)
                except SamplingFailed as failed:
                    raise failed.error from None
            done += count

    # -- files

    def _frames_of(self, index: int) -> int:
        chunk = self._chunks[index]
        return self._line.frames(chunk.end) - self._line.frames(chunk.begin)

    def _name(self, path: Path, number: int) -> str:
        return f"frames-{number:05}-{digest_of(blocks_of(path), self.files.digest(self._order[number]))}"

    def _valid_segments(self) -> list[Path]:
        """The written segments from the first on that are whole and belong to the finished chunks."""
        found: list[Path] = []
        for number, index in enumerate(self._order):
            candidates = self._folder.path.glob(f"frames-{number:05}-*.mkv") if index < len(self.files) else ()
            fitting = [path for path in candidates if fits(path, self.files.digest(index))]
            if not fitting:
                break
            found += fitting[:1]
        return found

    def _check_disk(self) -> None:
        """Raise InputError where the disk certainly cannot take what is to come."""
        width, height = vae_stream.pixel_size(self._vae, self._clip.samples)
        frames = sum(self._frames_of(index) for index in self._order[len(self._written) :])
        latents = self._clip.samples.nbytes * (1 - len(self.files) / max(1, len(self._chunks)))
        needed = LEAST_FREE_BYTES + latents + frames * width * height * 3 / COMPRESSION
        free = shutil.disk_usage(self._folder.path).free
        if free < needed:
            raise InputError(
                f"The disk with {self._folder.path} is full ({free / 1e9:.2f} GB free; this video takes at least "
                f"{needed / 1e9:.2f} GB there until it is saved): make room and queue again."
            )


class SceneLatents:
    """The latents of a scene as the decoder slices them, made chunk by chunk when it comes to them."""

    ndim = 5

    def __init__(self, rollout: Rollout, start: int, stop: int) -> None:
        self._rollout, self._start = rollout, start
        self.leads = int(any(chunk.opens and chunk.begin == start for chunk in rollout.chunks))
        shape = rollout.clip.samples.shape
        self.shape = torch.Size((*shape[:2], self.leads + stop - start, *shape[3:]))

    def __getitem__(self, key: Any) -> Tensor:
        """Return [:, :, begin:end]. Raises SamplingFailed around whatever the sampler raises."""
        begin, end = (place - self.leads + self._start for place in (key[2].start or 0, key[2].stop))
        try:
            parts = [self._rollout.latents(max(begin, self._start), end)] if end > self._start else []
            if begin < self._start and (lead := self._rollout.lead(self._start)) is not None:
                parts.insert(0, lead)
            return torch.cat([part.to(self._rollout.clip.samples) for part in parts], 2)
        except Exception as error:
            raise SamplingFailed(error) from error


class SamplingFailed(BaseException):
    """Carries an error through the decoder, which would take a lack of memory for its own."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


def _stop_if_cancelled(_: int) -> None:
    mm.throw_exception_if_processing_interrupted()
