# SPDX-License-Identifier: GPL-3.0-or-later
"""Drawn stand-ins for the sprites of the scene world, whose pictures come from a package otherwise."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
import pytest

from comfyui_spacetime.training.judges import shapes
from comfyui_spacetime.training.scenes import canvas, places, props, sprites, take


@lru_cache(maxsize=1)
def stand_in() -> np.ndarray:
    """A checkered magenta body that stands on the lower edge and looks left by a white face."""
    picture = np.zeros((256, 256, 4), np.uint8)
    picture[20:256, 24:232] = (235, 40, 200, 255)
    for x in range(24, 232, 32):
        for y in range(20 + x % 64, 256, 64):
            picture[y : y + 32, x : min(x + 32, 232)] = (150, 20, 160, 255)
    picture[20:256, 24:64] = (255, 255, 255, 255)
    picture[..., :3] = cv2.GaussianBlur(picture[..., :3], (0, 0), 3)
    return picture


def thicket(code: str) -> np.ndarray:
    """Something to pass behind, as wide as the tree and the boulder are and without gaps."""
    picture = np.zeros((256, 256, 4), np.uint8)
    edge = 38 if code == sprites.SCENERY["tree"] else 18
    picture[:, edge : 256 - edge] = (90, 60, 40, 255)
    return picture


def forget() -> None:
    """Empty the caches of pictures."""
    for cached in (sprites.sprite, canvas.scenery, places.layers, props.screen, take._lit, shapes.poses):
        cached.cache_clear()


@pytest.fixture
def drawn_sprites(monkeypatch):
    monkeypatch.setattr(sprites, "picture", lambda code: stand_in())
    monkeypatch.setattr(props, "picture", thicket)
    forget()
    yield
    forget()
