# SPDX-License-Identifier: GPL-3.0-or-later
"""The finished chunks of a long clip as files, each known to be whole and to belong to the ones before it.

A file's name carries a digest of its content and of the digest before: a file that was damaged, that comes from another
clip, or that follows a chunk which was made again does not fit, and is as good as none.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

BLOCK = 1 << 20
DIGITS = 32
HELD = 4  # chunks in memory


class ChunkFiles:
    """Chunks 0, 1, ... in the order in which they are made; ``key`` says what clip they are of."""

    def __init__(self, folder: Path, key: str) -> None:
        self._folder = folder
        self._digests = [key]
        self._held: OrderedDict[int, dict[str, Tensor]] = OrderedDict()
        for path in self._chain():
            self._digests.append(path.stem.rpartition("-")[2])

    def __len__(self) -> int:
        """Return how many chunks are finished."""
        return len(self._digests) - 1

    def digest(self, index: int) -> str:
        """Return the digest of a finished chunk, which depends on all before it."""
        return self._digests[index + 1]

    def add(self, tensors: dict[str, Tensor]) -> None:
        """Keep the next chunk. Raises OSError where it cannot be written; then nothing of it is left."""
        content = safetensors.torch.save({name: tensor.contiguous().cpu() for name, tensor in tensors.items()})
        index, digest = len(self), digest_of([content], self._digests[-1])
        write_whole(self._path(index, digest), content)
        self._digests.append(digest)
        self._hold(index, tensors)

    def get(self, index: int) -> dict[str, Tensor]:
        """Return a finished chunk. Raises ValueError where its file has gone or was damaged meanwhile."""
        if index in self._held:
            self._held.move_to_end(index)
            return self._held[index]
        path = self._path(index, self.digest(index))
        try:
            tensors = safetensors.torch.load_file(path)
        except (OSError, SafetensorError) as error:
            raise ValueError(f"{path} cannot be read any more ({error}): queue the graph again.") from error
        return self._hold(index, tensors)

    def paths(self) -> list[Path]:
        """Return the files of the finished chunks."""
        return [self._path(index, digest) for index, digest in enumerate(self._digests[1:])]

    def _chain(self) -> Iterator[Path]:
        """Yield the files that fit, one after the other, up to the first that does not."""
        before = self._digests[0]
        for index in range(1 << 20):
            fitting = next((path for path in self._candidates(index) if fits(path, before)), None)
            if fitting is None:
                return
            before = fitting.stem.rpartition("-")[2]
            yield fitting

    def _candidates(self, index: int) -> list[Path]:
        return sorted(self._folder.glob(f"latent-{index:05}-*.safetensors"))

    def _path(self, index: int, digest: str) -> Path:
        return self._folder / f"latent-{index:05}-{digest}.safetensors"

    def _hold(self, index: int, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        self._held[index] = tensors
        if len(self._held) > HELD:
            self._held.popitem(last=False)
        return tensors


def digest_of(blocks: Iterator[bytes] | list[bytes], before: str) -> str:
    """Return the digest of some bytes that follow what has the digest ``before``."""
    total = hashlib.sha256(before.encode())
    for block in blocks:
        total.update(block)
    return total.hexdigest()[:DIGITS]


def blocks_of(path: Path) -> Iterator[bytes]:
    """Yield a file's bytes, some at a time."""
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            yield block


def fits(path: Path, before: str) -> bool:
    """Whether a file's name tells its own content, after what has the digest ``before``."""
    try:
        return digest_of(blocks_of(path), before) == path.stem.rpartition("-")[2]
    except OSError:
        return False


def write_whole(path: Path, content: bytes) -> None:
    """Write a file under another name first, so that it is there as a whole or not at all. Raises OSError."""
    partial = path.with_name(f".{path.stem[:24]}-{secrets.token_hex(4)}.part")
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
