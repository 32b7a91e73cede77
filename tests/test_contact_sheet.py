# SPDX-License-Identifier: GPL-3.0-or-later
"""A contact sheet shows the frames of a clip in reading order."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from comfyui_spacetime.video.contact_sheet import GAP, LABEL_HEIGHT, write_contact_sheet
from comfyui_spacetime.video.errors import VideoError
from comfyui_spacetime.video.writer import write_video


@pytest.fixture
def movie(tmp_path):
    frames = (np.full((48, 64, 3), 5 * index, np.uint8) for index in range(41))
    write_video(tmp_path / "a.mp4", frames, fps=8, crf=4)
    return tmp_path / "a.mp4"


def tiles(sheet, columns, rows):
    pixels = np.asarray(Image.open(sheet).convert("L")).astype(int)
    step_x, step_y = 64 + GAP, 48 + LABEL_HEIGHT + GAP
    return [
        round(pixels[GAP + r * step_y + 24, GAP + c * step_x + 32] / 5) for r in range(rows) for c in range(columns)
    ]


def test_frames_are_spread_from_first_to_last(movie, tmp_path):
    sheet = write_contact_sheet(movie, tmp_path / "a.png", columns=3, max_frames=6)
    assert tiles(sheet, 3, 2) == [0, 8, 16, 24, 32, 40]


def test_a_short_clip_shows_every_frame_once(tmp_path):
    write_video(tmp_path / "a.mp4", (np.full((48, 64, 3), 5 * i, np.uint8) for i in range(3)), fps=8, crf=4)
    sheet = write_contact_sheet(tmp_path / "a.mp4", tmp_path / "a.png", columns=8)
    assert Image.open(sheet).width == 3 * (64 + GAP) + GAP and tiles(sheet, 3, 1) == [0, 1, 2]


def test_tiles_carry_their_time(movie, tmp_path):
    pixels = np.asarray(
        Image.open(write_contact_sheet(movie, tmp_path / "a.png", columns=2, max_frames=2)).convert("L")
    )
    labels = pixels[GAP + 48 : GAP + 48 + LABEL_HEIGHT]
    assert (labels[:, :68] > 150).any() and (labels[:, 72:] > 150).any()


def test_a_broken_video_leaves_no_sheet(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"no video")
    with pytest.raises(VideoError):
        write_contact_sheet(tmp_path / "a.mp4", tmp_path / "a.png")
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]
