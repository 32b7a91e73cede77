# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine that looks at pictures with a vision-language model on this machine, through transformers.

Nothing is fetched and no code of a model's is run. transformers is imported only when a model is loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from .chat import cleaned, messages, room
from .expand import EngineError, Progress, Request
from .local import OFFLINE, LanguageModel, described, find_models, generate

KINDS = ("ForConditionalGeneration", "ForImageTextToText", "ForVision2Seq")


def find_vision_models(folders: Iterable[Path]) -> dict[str, Path]:
    """Vision-language models below some folders by name: folders of safetensors. Only these are ever loaded."""
    return find_models(folders, sees)


def sees(config: Path) -> bool:
    """Whether a folder holds a model that writes about pictures."""
    found = described(config)
    kinds = found.get("architectures") or ()
    return isinstance(found.get("vision_config"), dict) and any(str(kind).endswith(KINDS) for kind in kinds)


def load_vision_model(name: str, path: Path, dtype: torch.dtype) -> LanguageModel:
    """Load a model of :func:`find_vision_models`. Raises EngineError with what is wrong."""
    try:
        from transformers import AutoModelForImageTextToText, AutoProcessor
        from transformers.utils import logging as transformers_logging
    except ImportError as error:
        raise EngineError(f"The engine local needs a newer package transformers: {error}.") from error
    transformers_logging.disable_progress_bar()
    try:
        processor = AutoProcessor.from_pretrained(str(path), **OFFLINE)
        net = AutoModelForImageTextToText.from_pretrained(str(path), dtype=dtype, use_safetensors=True, **OFFLINE)
    except ImportError as error:
        raise EngineError(f"{name} needs a package that is not installed: {error}") from error
    except (OSError, ValueError, KeyError, RuntimeError, TypeError) as error:
        reason = " ".join(str(error).split())[:300]
        raise EngineError(f"{name} cannot be loaded as a model that sees: {reason}") from error
    return LanguageModel(name, net.eval().requires_grad_(False), processor.tokenizer, processor)


class VisionEngine:
    """Writes about pictures (N, H, W, 3) uint8. ``fetch`` loads the model where it is to run, at each use."""

    name = "local"
    sees = True

    def __init__(self, fetch: Callable[[], LanguageModel], pictures: NDArray[np.uint8]) -> None:
        self._fetch, self._pictures = fetch, pictures

    def write(self, request: Request, progress: Progress) -> str:
        """Return the model's text; ``progress`` is told every word and may raise to stop.

        Raises EngineError where the model cannot take so many pictures or so long a text.
        """
        model = self._fetch()
        progress("")
        try:
            inputs = self._inputs(model, messages(request))
        except (ValueError, TypeError, IndexError, KeyError) as error:
            reason = " ".join(str(error).split())[:200]
            raise EngineError(f"{model.name} cannot be asked with {len(self._pictures)} pictures: {reason}") from error
        ids = inputs.pop("input_ids")
        return cleaned(generate(model, ids, room(request), request.seed, progress, **inputs), request)

    def _inputs(self, model: LanguageModel, talk: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        """The question with its pictures in the model's own form, where the model is."""
        text = "\n\n".join(turn["content"] for turn in talk)  # few of these models know instructions of their own
        parts = [*({"type": "image"} for _ in self._pictures), {"type": "text", "text": text}]
        question = model.processor.apply_chat_template(
            [{"role": "user", "content": parts}], add_generation_prompt=True, tokenize=False
        )
        made = model.processor(text=question, images=list(self._pictures), return_tensors="pt")
        weights = next(model.net.parameters())
        return {
            name: value.to(weights.device, weights.dtype if value.is_floating_point() else value.dtype)
            for name, value in made.items()
        }
