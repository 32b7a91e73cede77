# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine that runs a text-generation model on this machine through transformers: safetensors or GGUF.

Nothing is fetched and no code of a model's is run. transformers is imported only when a model is loaded.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from .chat import cleaned, messages, room
from .expand import EngineError, Progress, Request

ENCODERS = frozenset({"t5", "t5encoder", "clip", "bert", "nomic-bert", "umt5"})  # GGUF files that write no text
SUFFIX = ".gguf"
OFFLINE = {"local_files_only": True, "trust_remote_code": False}


@dataclass
class LanguageModel:
    """A loaded model. ``net`` is a module of transformers that generates; ``name`` is what it is called in messages.

    ``processor`` is what prepares pictures for it, for one that sees.
    """

    name: str
    net: Any
    tokenizer: Any
    processor: Any = None


def find_models(folders: Iterable[Path], fits: Callable[[Path], bool] | None = None) -> dict[str, Path]:
    """Text-generation models below some folders by name: folders of safetensors, and GGUF files.

    ``fits`` tells by its config.json whether a folder is meant; then no GGUF files are. Only names of this list are
    ever loaded, so that no name leaves the folders.
    """
    found: dict[str, Path] = {}
    for folder in folders:
        if not folder.is_dir():
            continue
        for path in sorted(folder.rglob("*")):
            if path.name == "config.json":
                generates = (fits or is_causal)(path)
            else:
                generates = fits is None and _is_gguf(path)
            if generates:
                place = path.parent if path.name == "config.json" else path
                found.setdefault(place.relative_to(folder).as_posix(), place)
    return dict(sorted(found.items(), key=lambda item: item[0].lower()))


def is_causal(config: Path) -> bool:
    """Whether a folder holds a causal language model in safetensors."""
    return any(str(kind).endswith("ForCausalLM") for kind in described(config).get("architectures") or ())


def described(config: Path) -> dict[str, Any]:
    """What a config.json says of the safetensors beside it; nothing where it cannot be read or there are none."""
    try:
        found = json.loads(config.read_text(encoding="utf-8")) if any(config.parent.glob("*.safetensors")) else {}
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _is_gguf(path: Path) -> bool:
    """Whether a file is a GGUF file of a model that writes, by the first entry of its header."""
    if path.suffix.lower() != SUFFIX or path.name.lower().startswith("mmproj"):
        return False
    try:
        with path.open("rb") as file:
            magic, _, _, _, length = struct.unpack("<4sIQQQ", file.read(32))
            key = file.read(min(length, 100))
            kind, size = struct.unpack("<IQ", file.read(12))
            value = file.read(min(size, 100)).decode("utf-8", "replace")
    except (OSError, struct.error):
        return False
    return magic == b"GGUF" and not (key == b"general.architecture" and kind == 8 and value in ENCODERS)


def load_model(name: str, path: Path, dtype: torch.dtype) -> LanguageModel:
    """Load a model of :func:`find_models`. Raises EngineError with what is wrong."""
    try:
        from transformers import AutoModelForCausalLM, AutoTokenizer
        from transformers.utils import logging as transformers_logging
    except ImportError as error:
        raise EngineError(f"The engine local needs the package transformers: {error}.") from error
    transformers_logging.disable_progress_bar()
    options: dict[str, Any] = dict(OFFLINE)
    folder = path
    if path.suffix.lower() == SUFFIX:
        folder, options = path.parent, options | {"gguf_file": path.name}
    try:
        unpacked = _unpacked() if "gguf_file" in options else {}
        tokenizer = AutoTokenizer.from_pretrained(str(folder), **options)
        safe = {} if "gguf_file" in options else {"use_safetensors": True}
        net = AutoModelForCausalLM.from_pretrained(str(folder), dtype=dtype, **options, **safe, **unpacked)
    except ImportError as error:
        raise EngineError(f"{name} needs a package that is not installed: {error}") from error
    except (OSError, ValueError, KeyError, RuntimeError, TypeError) as error:
        reason = " ".join(str(error).split())[:300]
        raise EngineError(f"{name} cannot be loaded as a text-generation model: {reason}") from error
    return LanguageModel(name, net.eval().requires_grad_(False), tokenizer)


def _unpacked() -> dict[str, Any]:
    """The option for GGUF weights as plain ones, which every device takes; older releases know no other way."""
    from transformers.utils import quantization_config

    kind = getattr(quantization_config, "GgufConfig", None)
    return {} if kind is None else {"quantization_config": kind(dequantize=True)}


class LocalEngine:
    """Writes with a language model. ``fetch`` loads it where it is to run and is called at each use."""

    name = "local"
    sees = False

    def __init__(self, fetch: Callable[[], LanguageModel]) -> None:
        self._fetch = fetch

    def write(self, request: Request, progress: Progress) -> str:
        """Return the model's text; ``progress`` is told every word and may raise to stop."""
        model = self._fetch()
        ids = _encode(model.tokenizer, messages(request)).to(next(model.net.parameters()).device)
        text = generate(model, ids, room(request), request.seed, progress)
        return cleaned(text, request)


def _encode(tokenizer: Any, talk: list[dict[str, Any]]) -> torch.Tensor:
    """The conversation as ids (1, L) in the model's own form; a model without one reads it as plain lines."""
    if not getattr(tokenizer, "chat_template", None):
        lines = [f"{turn['role']}: {turn['content']}" for turn in talk]
        return _ids(tokenizer("\n".join([*lines, "assistant:"]), return_tensors="pt"))
    try:
        return _ids(tokenizer.apply_chat_template(talk, add_generation_prompt=True, return_tensors="pt"))
    except Exception as error:
        if type(error).__name__ not in ("TemplateError", "UndefinedError"):
            raise
    # some models know no instructions: they become a part of the first question
    first = {"role": "user", "content": f"{talk[0]['content']}\n\n{talk[1]['content']}"}
    return _ids(tokenizer.apply_chat_template([first, *talk[2:]], add_generation_prompt=True, return_tensors="pt"))


def _ids(encoded: Any) -> torch.Tensor:
    ids = encoded if isinstance(encoded, torch.Tensor) else encoded["input_ids"]
    return torch.as_tensor(ids)


def generate(
    model: LanguageModel, ids: torch.Tensor, most: int, seed: int, progress: Progress, **more: torch.Tensor
) -> str:
    """Continue ids (1, L) by at most ``most`` tokens and return them as text; ``more`` is what else the model sees."""
    from transformers.generation.streamers import BaseStreamer

    class Heard(BaseStreamer):
        """Tells what is written so far, token by token."""

        def __init__(self) -> None:
            self.ids: list[int] = []
            self.asked = False

        def put(self, value: Any) -> None:
            """Take the next token; the first call brings the question."""
            if self.asked:
                self.ids += torch.as_tensor(value).flatten().tolist()
                progress(self.text())
            self.asked = True

        def end(self) -> None:
            """Nothing is left to do."""

        def text(self) -> str:
            return str(model.tokenizer.decode(self.ids, skip_special_tokens=True))

    heard, device = Heard(), ids.device
    with torch.inference_mode(), torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        model.net.generate(
            ids, **{"attention_mask": torch.ones_like(ids), **more}, streamer=heard,
            max_new_tokens=most, do_sample=True, temperature=0.3, top_p=0.9, repetition_penalty=1.15,
            pad_token_id=model.tokenizer.pad_token_id or model.tokenizer.eos_token_id or 0,
        )  # fmt: skip
    return heard.text()
