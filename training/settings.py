# SPDX-License-Identifier: GPL-3.0-or-later
"""Typed settings of a training run: the tables of ``training/configs/NAME.toml``, changed by ``--set key=value``.

``[dit]``, ``[vae]`` and ``[text]`` are the sizes of the networks (the dataclasses in models/), ``[train.dit]``,
``[train.vae]`` and ``[train.text]`` how each is trained (the dataclasses below). What a file leaves out has the
default that stands here; a name that does not exist is refused with the nearest one that does.
"""

from __future__ import annotations

import difflib
import tomllib
import types
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from ..models.captioner import CaptionerConfig
from ..models.dit import DiTConfig
from ..models.text import TextConfig
from ..models.vae import VAEConfig
from .noise import Mix

CONFIGS = Path(__file__).parent / "configs"
T = TypeVar("T")


class SettingError(ValueError):
    """A setting that does not exist or has a wrong value; the message names it and what fits."""


@dataclass(frozen=True)
class Schedule:
    """How any part is trained."""

    minutes: float = 60.0  # of wall clock; the learning rate follows it
    steps: int = 0  # if not 0, the run has this many steps instead
    stop_at: int = 0  # if not 0, stop after this step, to go on later
    batches: int = 0  # in one step, dealt out to the processes; 0: one for each process
    seed: int = 0
    muon_lr: float = 0.02
    adam_lr: float = 2e-3
    warmup: int = 100  # steps
    cooldown: float = 0.4  # last share of the run, 0..1, in which the learning rate falls
    clip: float = 1.0  # largest norm of the gradient
    average: float = 0.998  # decay of the weights' moving average
    log_every: int = 50  # steps
    save_every: int = 250  # steps; validation too
    sample_every: int = 2000  # steps between film strips; 0: none
    keep: int = 2  # saved steps
    shard: str = "auto"  # split the weights over the processes: yes, no, or where a copy takes half the memory
    recompute: bool = False  # forget activations and compute them again in the backward pass: less memory, 4/3 the work

    def __post_init__(self) -> None:
        """Refuse values that no run can have."""
        for name in ("log_every", "save_every", "keep", "warmup"):
            if getattr(self, name) < 1:
                raise SettingError(f"{name} = {getattr(self, name)}: must be at least 1")
        if self.steps <= 0 and self.minutes <= 0:
            raise SettingError(f"minutes = {self.minutes:g}, steps = {self.steps}: one of them must be more than 0")
        if not 0 <= self.cooldown <= 1:
            raise SettingError(f"cooldown = {self.cooldown:g}: must be from 0 (none) to 1 (all of the run)")
        if self.shard not in ("auto", "yes", "no"):
            raise SettingError(f"shard = {self.shard!r}: must be auto, yes or no")


@dataclass(frozen=True)
class Stage:
    """What clips are drawn when ``at`` (0..1) of the run is over; between two stages all is interpolated."""

    at: float
    side: float  # pixels: clips are not larger than side x side, nor smaller than every clip there is
    frames: dict[str, float] = field(default_factory=dict)  # latent frames: how often


@dataclass(frozen=True)
class TrainDiT(Schedule):
    """How transformer and text encoder are trained on latents."""

    latents: str = "runs/latents"
    world: str = "nano"  # nano or full, as given to train latents
    tokens: int = 4096  # in a batch
    stages: tuple[Stage, ...] = (
        Stage(0.0, 256, {"1": 0.45, "5": 0.55}),
        Stage(1.0, 512, {"1": 0.15, "5": 0.60, "9": 0.25}),
    )
    freeze_text: bool = False  # an encoder that train text has taught must not move while what it says is learnt
    dropped_text: float = 0.1  # share of clips without text, which guidance needs
    short: float = 0.0  # share of clips that learn by a short caption, as of their first frame, instead of a dense one
    misspelt: float = 0.1  # share of texts of which a word loses a letter, so that letters are learnt
    emphasis: float = 3.0  # further weight of the loss where something moves
    close: float = 0.0  # share of batches that are close-ups, 160 pixels around what moves: more of it for a token
    focus: dict[str, float] = field(default_factory=dict)  # words of captions: how often their clips are drawn; else 1
    noise: Mix = field(default_factory=Mix)
    samples: str = "weights/spacetime-nano.safetensors"  # the checkpoint whose VAE decodes film strips

    def __post_init__(self) -> None:
        """Refuse values that no run can have."""
        super().__post_init__()
        for word, weight in self.focus.items():
            if weight <= 0:
                raise SettingError(f"focus.{word} = {weight:g}: must be more than 0")


@dataclass(frozen=True)
class TrainLoRA(TrainDiT):
    """How a LoRA is fitted to clips."""

    minutes: float = 20.0
    tokens: int = 2048
    adam_lr: float = 1e-3
    average: float = 0.99
    save_every: int = 100
    sample_every: int = 0
    stages: tuple[Stage, ...] = (Stage(0.0, 1024, {"1": 0.1, "3": 0.2, "5": 0.5, "9": 0.2}),)
    rank: int = 8  # of the change of each matrix
    targets: tuple[str, ...] = ("attend", "cross", "mlp")  # parts of the names of the layers that change
    shard: str = "no"


@dataclass(frozen=True)
class TrainVAE(Schedule):
    """How the VAE is trained on rendered scenes."""

    average: float = 0.999
    save_every: int = 500
    shard: str = "no"
    worlds: dict[str, float] = field(default_factory=lambda: {"nano": 1.0})  # how often a scene is drawn from each
    latent_noise: float = 0.1  # largest standard deviation of the noise that decoding learns to stand
    # share of batches that are decoded from latents at half size, as a picture at half size: latents that scale as
    # pictures do are easier to generate (EQ-VAE, arXiv:2502.09509)
    halved: float = 0.25
    emphasis: float = 5.0  # further weight of the loss where something moves
    freeze_encoder: bool = False  # train the decoder only, latents stay as they are


@dataclass(frozen=True)
class TrainText(Schedule):
    """How the text encoder is taught the captions' facts."""

    minutes: float = 2.0
    muon_lr: float = 0.01
    warmup: int = 20
    average: float = 0.9
    save_every: int = 500
    sample_every: int = 0
    captions: int = 128  # in a batch
    world: str = "nano"  # whose captions: nano or full


@dataclass(frozen=True)
class TrainCaption(Schedule):
    """How the captioner is trained on latents and their captions."""

    minutes: float = 30.0
    muon_lr: float = 0.01
    adam_lr: float = 1e-3
    sample_every: int = 0
    latents: str = "runs/latents"
    checkpoint: str = "weights/spacetime-nano.safetensors"  # whose VAE made them, or the folder of a VAE run
    world: str = "nano"  # nano or full, as given to train latents
    clips: int = 64  # in a batch
    captions: int = 3  # of each clip in a batch
    dense: bool = True  # learn a clip's longer captions; false: all of them
    chinese: float = 0.3  # share of Chinese captions, where a clip has any
    images: float = 0.1  # share of batches that show the first frame only
    crop: float = 0.8  # smallest share of a side that is shown
    noise: float = 0.3  # largest standard deviation of the noise on the latents
    shard: str = "no"


@dataclass(frozen=True)
class Train:
    """How each part is trained."""

    dit: TrainDiT = field(default_factory=TrainDiT)
    lora: TrainLoRA = field(default_factory=TrainLoRA)
    vae: TrainVAE = field(default_factory=TrainVAE)
    text: TrainText = field(default_factory=TrainText)
    caption: TrainCaption = field(default_factory=TrainCaption)


@dataclass(frozen=True)
class Settings:
    """A whole config file."""

    dit: DiTConfig = field(default_factory=DiTConfig)
    vae: VAEConfig = field(default_factory=VAEConfig)
    text: TextConfig = field(default_factory=TextConfig)
    captioner: CaptionerConfig = field(default_factory=CaptionerConfig)
    train: Train = field(default_factory=Train)

    def __post_init__(self) -> None:
        """Refuse networks that do not fit each other."""
        if self.dit.text_dim != self.text.dim:
            raise SettingError(f"dit.text_dim = {self.dit.text_dim}, text.dim = {self.text.dim}: must be the same")
        if self.dit.channels != self.vae.channels:
            raise SettingError(
                f"dit.channels = {self.dit.channels}, vae.channels = {self.vae.channels}: must be the same"
            )
        for name, config in (("dit", self.dit), ("text", self.text), ("captioner", self.captioner)):
            if config.dim % (2 * config.heads):
                raise SettingError(
                    f"{name}.dim = {config.dim}: must be a multiple of 2 x {name}.heads = {2 * config.heads}"
                )


def load_settings(name: str, part: str = "dit", changes: Sequence[str] = ()) -> Settings:
    """Read a config by name (nano, small, ...) or path and apply ``key=value`` changes.

    A key is written in full (``train.dit.tokens``), or shorter where it belongs to ``part`` (``tokens``). Raises
    SettingError.
    """
    path = Path(name) if name.endswith(".toml") else CONFIGS / f"{name.lower()}.toml"
    if not path.is_file():
        known = ", ".join(p.stem for p in sorted(CONFIGS.glob("*.toml")))
        raise SettingError(f"there is no config {name!r}; there are {known}, or give the path of a .toml file")
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingError(f"{path.name}: {error}") from error
    for change in changes:
        key, equals, text = change.partition("=")
        if not equals:
            raise SettingError(f"--set {change}: write it as key=value")
        _put(table, full_key(key.strip(), part), _value(text.strip()))
    return build(Settings, table)


def full_key(key: str, part: str) -> list[str]:
    """``tokens`` to [train, dit, tokens]; keys that begin with a table of the file stay."""
    words = key.split(".")
    return words if words[0] in {f.name for f in fields(Settings)} else ["train", part, *words]


def build(kind: type[T], table: dict[str, Any], where: str = "") -> T:
    """Make a dataclass of a TOML table, checking names and types. Raises SettingError."""
    hints = get_type_hints(kind)
    for name in table:
        if name not in hints:
            near = difflib.get_close_matches(name, hints, 1, 0.5)
            advice = f"did you mean {where}{near[0]}?" if near else f"there are {', '.join(hints)}"
            raise SettingError(f"there is no setting {where}{name}; {advice}")
    values = {name: _convert(hints[name], value, where + name) for name, value in table.items()}
    try:
        return kind(**values)
    except SettingError as error:
        raise SettingError(f"{where}{error}") from error
    except TypeError as error:
        raise SettingError(f"{where.rstrip('.')}: {error}") from error


def _convert(kind: Any, value: Any, where: str) -> Any:
    if is_dataclass(kind) and isinstance(kind, type):
        if not isinstance(value, dict):
            raise SettingError(f"{where} = {value!r}: must be a table")
        return build(kind, value, where + ".")
    if get_origin(kind) in (Union, types.UnionType):
        return value
    if get_origin(kind) is tuple and isinstance(value, list):
        parts = get_args(kind)
        if len(parts) != 2 or parts[1] is not Ellipsis:
            if len(value) != len(parts):
                raise SettingError(f"{where} = {value!r}: must be {len(parts)} values")
            return tuple(_convert(p, v, f"{where}[{i}]") for i, (p, v) in enumerate(zip(parts, value, strict=True)))
        return tuple(_convert(parts[0], v, f"{where}[{i}]") for i, v in enumerate(value))
    if get_origin(kind) is dict and isinstance(value, dict):
        return {k: _convert(get_args(kind)[1], v, f"{where}.{k}") for k, v in value.items()}
    plain = get_origin(kind) or kind
    if plain is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, plain) or (isinstance(value, bool) and plain is not bool):
        raise SettingError(f"{where} = {value!r}: must be {_NAMES.get(plain, plain.__name__)}")
    return value


_NAMES = {int: "a whole number", float: "a number", bool: "true or false", str: "a text", tuple: "a list"}


def _value(text: str) -> Any:
    """A value as TOML writes it; anything else is a text."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _put(table: dict[str, Any], key: list[str], value: Any) -> None:
    for word in key[:-1]:
        inner = table.setdefault(word, {})
        if not isinstance(inner, dict):
            raise SettingError(f"{'.'.join(key)}: {word} is no table")
        table = inner
    table[key[-1]] = value
