# SPDX-License-Identifier: GPL-3.0-or-later
"""The nodes that work on images and videos, in the order of the menu."""

from __future__ import annotations

from . import example, extend, finish

NODES = [
    example.LoadExample,
    extend.ExtendVideo,
    finish.FinishVideo,
]
