# SPDX-License-Identifier: GPL-3.0-or-later
"""The networks that see: where the things are, what they are, what colour they have, and where all of it is.

Things are named from grey crops, brightness and contrast taken out, so that shape tells them and colour cannot. All
else that the evaluation wants to know (motion, camera, direction, order, seams) is measured, see motion.py and others.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from ...models.int8 import pack, unpack
from ..saves import RunError
from ..scenes.nouns import COLOURS, NOUNS
from ..scenes.scene import LIGHTS, LOOKS, PLACES, WEATHERS

FRAME, CROP, THUMB = 96, 64, 32  # sides in pixels of what the networks look at
MASK = FRAME // 2  # side of the map of where things are
PER_CELL = 40 / MASK**2  # things that a 1 in the second map stands for
WEIGHTS = Path(__file__).with_name("judge.safetensors")
NAMES: dict[str, tuple[str, ...]] = {
    "noun": tuple(NOUNS),
    "colour": COLOURS,
    "place": PLACES,
    "light": LIGHTS,
    "weather": WEATHERS,
    "look": LOOKS,
}
SCENERY = ("place", "light", "weather", "look")


def _conv(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
    )


class Finder(nn.Module):
    """Where things are: frames (B, 3, FRAME, FRAME) in 0..1 to logits and counts (B, 2, MASK, MASK).

    The first channel is the logit that a thing is seen there; the second, see :func:`counted`, tells their number.
    """

    def __init__(self) -> None:
        super().__init__()
        self.first = _conv(3, 16, 2)
        self.fine = nn.Sequential(_conv(16, 32, 2), _conv(32, 32))
        self.middle = nn.Sequential(_conv(32, 64, 2), _conv(64, 64))
        self.coarse = nn.Sequential(_conv(64, 96, 2), _conv(96, 96))
        self.to_middle, self.to_fine = nn.Conv2d(96, 64, 1), nn.Conv2d(64, 32, 1)
        self.join_middle, self.join_fine = _conv(64, 64), _conv(32, 32)
        self.out = nn.Conv2d(32, 8, 1)

    def forward(self, frames: Tensor) -> Tensor:
        """Return the two maps."""
        fine = self.fine(self.first(frames - 0.5))
        middle = self.middle(fine)
        coarse = self.coarse(middle)
        middle = self.join_middle(middle + _double(self.to_middle(coarse)))
        fine = self.join_fine(fine + _double(self.to_fine(middle)))
        return F.pixel_shuffle(self.out(fine), 2)


def counted(maps: Tensor) -> Tensor:
    """How many things there are by the finder's maps (B, 2, MASK, MASK): (B,)."""
    return (F.relu(maps[:, 1]).sum((1, 2)) * PER_CELL).round()


def _double(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="nearest")


class Namer(nn.Module):
    """What a thing is: grey crops (B, 1, CROP, CROP) to logits for NAMES["noun"]."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *(_conv(1, 24, 2), _conv(24, 48, 2), _conv(48, 96, 2), _conv(96, 96), _conv(96, 128, 2), _conv(128, 128))
        )
        self.out = nn.Linear(256, len(NAMES["noun"]))

    def forward(self, crops: Tensor) -> Tensor:
        """Return the logits."""
        grey = crops - crops.mean((1, 2, 3), keepdim=True)
        maps = self.body(grey / (grey.std((1, 2, 3), keepdim=True) + 0.02))
        return self.out(torch.cat([maps.mean((2, 3)), maps.amax((2, 3))], 1))


class Small(nn.Module):
    """Pictures (B, 3, THUMB, THUMB) in 0..1 to logits of several heads."""

    def __init__(self, heads: Iterable[str]) -> None:
        super().__init__()
        self.sizes = {name: len(NAMES[name]) for name in heads}
        self.body = nn.Sequential(_conv(3, 24), _conv(24, 48, 2), _conv(48, 64, 2), _conv(64, 64, 2))
        self.out = nn.Linear(64 * 16, sum(self.sizes.values()))

    def forward(self, pictures: Tensor) -> dict[str, Tensor]:
        """Return the logits by head."""
        logits = self.out(self.body(pictures - 0.5).flatten(1)).split(list(self.sizes.values()), -1)
        return dict(zip(self.sizes, logits, strict=True))


class Judge(nn.Module):
    """All networks that see."""

    def __init__(self) -> None:
        super().__init__()
        self.finder, self.namer = Finder(), Namer()
        self.scenery, self.tint = Small(SCENERY), Small(("colour",))


def save_judge(state: dict[str, Tensor], path: Path, about: str) -> None:
    """Write weights, a byte each; ``about`` says how they were trained."""
    tensors = {name: value.contiguous() for name, value in pack(state, torch.float16).items()}
    save_file(tensors, path, metadata={"about": about, "nouns": ",".join(NAMES["noun"])})


def load_judge(path: Path = WEIGHTS) -> Judge:
    """The trained judge. Raises RunError for a file that is missing or was trained in another world."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            state = unpack({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise RunError(f"{path} is no judge ({error}); train one with ./spacetime train judge") from error
    judge = Judge()
    if metadata.get("nouns") != ",".join(NAMES["noun"]) or set(state) != set(judge.state_dict()):
        raise RunError(f"{path} was trained on other nouns or networks; train one anew with ./spacetime train judge")
    judge.load_state_dict(state)
    return judge.to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload, no-any-return]
