# SPDX-License-Identifier: GPL-3.0-or-later
"""The text encoder as a CLIP of the host, for its stock text nodes. Seen with ComfyUI 0.3.75 and 0.33.0."""

from __future__ import annotations

import logging
from typing import Any

import comfy.model_management as mm
import comfy.ops
import comfy.sd
import comfy.supported_models_base
import torch
from comfy.sd1_clip import escape_important, token_weights, unescape_important
from torch import Tensor

from ..models.checkpoint import Checkpoint, CheckpointError
from ..models.text import TextConfig, TextEncoder, Tokenizer

KEY = "spacetime"
log = logging.getLogger(__name__)
Tokens = dict[str, list[list[tuple[int, float]]]]


class HostTokenizer:
    """The tokenizer with the host's calling convention."""

    def __init__(self, config: TextConfig) -> None:
        self._tokenizer = Tokenizer(config)

    def tokenize_with_weights(self, text: str, return_word_ids: bool = False, **options: Any) -> Tokens:
        """Return piece ids with weight 1; emphasis, as in ``(red:1.2)``, is dropped: the model knows none.

        What stands behind a caption in words that the model was never taught is not read.
        """
        parts = token_weights(escape_important(text), 1.0)
        plain = "".join(unescape_important(part) for part, _ in parts)
        read = self._tokenizer.readable(plain)
        if read != plain:
            log.info("Spacetime's text encoder reads %r; what stands behind it has words that no caption had", read)
        ids = [int(i) for i in self._tokenizer.batch([read])[0]]
        return {KEY: [[(i, 1.0, 0) if return_word_ids else (i, 1.0) for i in ids]]}  # type: ignore[misc]

    def state_dict(self) -> dict[str, Any]:
        """Return no state of its own: the vocabulary is in the checkpoint's config."""
        return {}


class HostTextModel(TextEncoder):
    """The text encoder with the host's calling convention."""

    def __init__(self, config: TextConfig, weights: dict[str, Tensor], dtype: torch.dtype, device: Any) -> None:
        super().__init__(config, comfy.ops.manual_cast, dtype=dtype, device=device)
        self.dtypes = {dtype}
        self._device: Any = None
        self.load_state_dict(weights)

    def set_clip_options(self, options: dict[str, Any]) -> None:
        """Take the device to run on; other options have no meaning here (there is one layer to read, the last)."""
        self._device = options.get("execution_device", self._device)

    def reset_clip_options(self) -> None:
        """Forget the device."""
        self._device = None

    def encode_token_weights(self, tokens: Tokens) -> tuple[Tensor, Tensor]:
        """Return token states (B, length + 1, dim), the last one pooled, and the pooled text (B, dim)."""
        if KEY not in tokens:
            raise ValueError(
                f"These tokens are for another text encoder ({', '.join(tokens)}): tokenize with this CLIP."
            )
        device = self._device or mm.text_encoder_device()
        ids = torch.tensor([[entry[0] for entry in row] for row in tokens[KEY]], device=device)
        states = self(ids)
        return states, states[:, -1]

    def load_sd(self, state_dict: dict[str, Tensor]) -> Any:
        """Load weights; returns what was missing or unexpected."""
        return self.load_state_dict(state_dict, strict=False)


def make_clip(checkpoint: Checkpoint) -> comfy.sd.CLIP:
    """Make a CLIP of a checkpoint's text encoder. Raises CheckpointError when it has none.

    It computes in float32: it is small, runs once a prompt, and then gives the same text on every machine.
    """
    if checkpoint.text_config is None or checkpoint.text is None:
        raise CheckpointError("this checkpoint holds no text encoder; load a complete Spacetime checkpoint for it")
    config, weights = checkpoint.text_config, checkpoint.text

    def tokenizer(embedding_directory: Any = None, tokenizer_data: Any = None) -> HostTokenizer:
        return HostTokenizer(config)

    def model(dtype: torch.dtype = torch.float32, device: Any = None, model_options: Any = None) -> HostTextModel:
        return HostTextModel(config, weights, dtype, device).eval()

    parameters = sum(value.numel() for value in weights.values())
    target = comfy.supported_models_base.ClipTarget(tokenizer, model)
    return comfy.sd.CLIP(target, parameters=parameters, model_options={"dtype": torch.float32})
