# SPDX-License-Identifier: GPL-3.0-or-later
"""Language models for Expand Prompt and Caption Video: found in the host's folders, run under its memory management."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import comfy.model_management as mm
import comfy.model_patcher
import folder_paths
import torch
from torch import Tensor, nn

from ..language.chat import cleaned, messages, room
from ..language.expand import EngineError, Progress, Request
from ..language.local import LanguageModel, find_models, load_model
from ..language.vision import find_vision_models, load_vision_model
from .errors import InputError
from .precision import cpu_has_bfloat16

KEY = "LLM"
FOLDERS = (KEY, "text_encoders")
FIRST = "the first one found"
WORKING = 1 << 28  # bytes that generating takes beside the weights


def register() -> None:
    """Tell the host of the folder models/LLM."""
    folder_paths.add_model_folder_path(KEY, os.path.join(folder_paths.models_dir, KEY))


def language_models() -> dict[str, Path]:
    """The text-generation models in the host's folders by name."""
    return find_models(_folders())


def vision_models() -> dict[str, Path]:
    """The vision-language models in the host's folders by name."""
    return find_vision_models(_folders())


def _folders() -> Iterator[Path]:
    return (Path(folder) for key in FOLDERS for folder in folder_paths.get_folder_paths(key))


def fetcher(name: str) -> Callable[[], LanguageModel]:
    """Return what loads a listed model and brings it to where it runs. Raises InputError for any other name."""
    known = language_models()
    if not known:
        raise InputError(
            f"There is no language model in {os.path.join(folder_paths.models_dir, KEY)}: put one there (a folder with "
            "safetensors, or a GGUF file), run ./spacetime expand --install for a small one, connect a CLIP that "
            "writes text, or choose the engine rules."
        )
    chosen = next(iter(known)) if name == FIRST else name
    if chosen not in known:
        raise InputError(f"There is no language model {name!r}: choose one of {', '.join(known)}.")
    return lambda: _hosted(chosen, known[chosen], load_model).ready()


def vision_fetcher(name: str) -> Callable[[], LanguageModel]:
    """The same for a model that sees. Raises InputError for a name that is not listed."""
    known = vision_models()
    if not known:
        raise InputError(
            f"There is no vision-language model in {os.path.join(folder_paths.models_dir, KEY)}: put the folder of one "
            "there (config.json, safetensors, processor), connect a CLIP that sees, or choose the engine own or server."
        )
    chosen = next(iter(known)) if name == FIRST else name
    if chosen not in known:
        raise InputError(f"There is no vision-language model {name!r}: choose one of {', '.join(known)}.")
    return lambda: _hosted(chosen, known[chosen], load_vision_model).ready()


class _Shell(nn.Module):
    """Holds a network of transformers, whose own attributes the host would else set."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net


@dataclass
class Hosted:
    """A language model that the host moves between its devices."""

    model: LanguageModel
    patcher: Any

    def ready(self) -> LanguageModel:
        """Bring it to its device as a whole: its layers cannot be cast one by one."""
        mm.load_models_gpu([self.patcher], memory_required=WORKING, force_full_load=True)
        return self.model


_kept: dict[tuple[str, int], Hosted] = {}  # the one used last, so that the next prompt does not load it again


def _hosted(name: str, path: Path, load: Callable[[str, Path, torch.dtype], LanguageModel]) -> Hosted:
    key = (str(path), path.stat().st_mtime_ns)
    if key not in _kept:
        _kept.clear()
        with torch.inference_mode(False):
            model = load(name, path, _dtype(mm.text_encoder_device()))
            patcher = comfy.model_patcher.ModelPatcher(
                _Shell(model.net), load_device=mm.text_encoder_device(), offload_device=mm.text_encoder_offload_device()
            )
        _kept[key] = Hosted(model, patcher)
    return _kept[key]


def _dtype(device: torch.device) -> torch.dtype:
    if mm.is_device_cpu(device):
        return torch.bfloat16 if cpu_has_bfloat16() else torch.float32
    return torch.bfloat16 if mm.should_use_bf16(device) else torch.float16


class ClipEngine:
    """Writes with a CLIP of the host whose text encoder is a language model (ComfyUI 0.33 and later).

    The host shows its progress and hears a cancel; the words appear when all are written.
    """

    name = "clip"
    sees = True

    def __init__(self, clip: Any, images: Tensor | None = None) -> None:
        if not hasattr(clip, "generate") or not hasattr(clip, "decode"):
            raise InputError(
                "This CLIP cannot write text: that needs ComfyUI 0.33 or later and a text encoder that is a language "
                "model (Gemma, Qwen, Ministral). Disconnect it, or choose another engine."
            )
        self._clip, self._images = clip, images

    def write(self, request: Request, progress: Progress) -> str:
        """Return the model's text; raises EngineError where this CLIP's encoder is no language model."""
        system, *turns = messages(request)
        lines = [f"{'Prompt' if turn['role'] == 'user' else 'New prompt'}: {turn['content']}" for turn in turns]
        text = "\n\n".join([system["content"], *lines, "New prompt:"])
        progress("")
        pictures = {} if self._images is None else {"image": self._images}
        try:
            tokens = self._clip.tokenize(text, skip_template=False, min_length=1, **pictures)
            ids = self._clip.generate(
                tokens, do_sample=True, max_length=room(request), temperature=0.4, top_p=0.9, repetition_penalty=1.05,
                seed=request.seed,
            )  # fmt: skip
            return cleaned(str(self._clip.decode(ids)), request)
        except (AttributeError, TypeError, NotImplementedError) as error:
            raise EngineError(
                f"This CLIP's text encoder writes no text ({error}): load one that is a language model, such as Gemma "
                "or Qwen, or choose another engine."
            ) from error
