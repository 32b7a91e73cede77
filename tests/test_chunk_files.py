# SPDX-License-Identifier: GPL-3.0-or-later
"""Finished chunks on disk: whole, in their order, of this clip, or as good as none."""

from __future__ import annotations

import os

import pytest
import torch

from comfyui_spacetime.models import chunk_files
from comfyui_spacetime.models.chunk_files import ChunkFiles


def chunk(value: float) -> dict[str, torch.Tensor]:
    return {"samples": torch.full((1, 2, 3, 2, 2), value)}


@pytest.fixture
def folder(tmp_path):
    """Three chunks of the clip "aa"."""
    files = ChunkFiles(tmp_path, "aa")
    for value in range(3):
        files.add(chunk(value))
    return tmp_path


def test_they_are_there_again(folder):
    again = ChunkFiles(folder, "aa")
    assert len(again) == 3 and all(torch.equal(again.get(i)["samples"], chunk(i)["samples"]) for i in range(3))


def test_the_same_chunks_have_the_same_files(folder, tmp_path_factory):
    other = ChunkFiles(tmp_path_factory.mktemp("other"), "aa")
    for value in range(3):
        other.add(chunk(value))
    assert [path.name for path in other.paths()] == [path.name for path in ChunkFiles(folder, "aa").paths()]


@pytest.mark.parametrize("damage", ["shorter", "other bytes", "gone", "empty"])
def test_from_a_damaged_one_on_all_are_made_again(folder, damage):
    path = ChunkFiles(folder, "aa").paths()[1]
    content = path.read_bytes()
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes({"shorter": content[:-1], "other bytes": content[:-1] + b"x", "empty": b""}[damage])
    assert len(ChunkFiles(folder, "aa")) == 1


def test_chunks_of_another_clip_do_not_fit(folder):
    assert len(ChunkFiles(folder, "bb")) == 0


def test_what_followed_another_chunk_does_not_fit(folder):
    files = ChunkFiles(folder, "aa")
    files.paths()[1].unlink()
    again = ChunkFiles(folder, "aa")
    again.add(chunk(9))
    assert len(ChunkFiles(folder, "aa")) == 2


def test_few_are_kept_in_memory(tmp_path):
    files = ChunkFiles(tmp_path, "aa")
    for value in range(20):
        files.add(chunk(value))
    assert len(files._held) == chunk_files.HELD and files.get(0)["samples"][0, 0, 0, 0, 0] == 0


def test_a_full_disk_leaves_nothing_half_written(tmp_path, monkeypatch):
    files = ChunkFiles(tmp_path, "aa")
    files.add(chunk(0))

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        files.add(chunk(1))
    assert len(list(tmp_path.iterdir())) == 1 and len(ChunkFiles(tmp_path, "aa")) == 1


def test_a_file_that_went_meanwhile_is_told(folder):
    files = ChunkFiles(folder, "aa")
    files.paths()[0].unlink()
    with pytest.raises(ValueError, match="cannot be read any more"):
        files.get(0)
