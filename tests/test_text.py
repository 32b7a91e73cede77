# SPDX-License-Identifier: GPL-3.0-or-later
"""The text encoder and its tokenizer."""

from __future__ import annotations

import torch
from tiny import PIECES, tiny_text

from comfyui_spacetime.models.text import BYTES, FIRST, PAD, TextConfig, Tokenizer

TOKENIZER = Tokenizer(TextConfig(pieces=PIECES))


def pieces(text: str) -> list[str]:
    """Read ids back as the pieces they stand for."""
    return [PIECES[i - FIRST] if i >= FIRST else f"<{i - BYTES:02x}>" for i in TOKENIZER.encode(text)]


def test_known_words_are_one_piece_each_in_any_case() -> None:
    assert pieces("A Red PANDA") == ["a", "red", "panda"]


def test_an_unknown_word_is_spelt_from_pieces_and_bytes() -> None:
    assert pieces("cups") == ["cup", "#s"]
    assert pieces("cup s") == ["cup", "<73>"]  # a word's beginning is another piece than its end
    assert pieces("xy") == ["<78>", "<79>"]


def test_chinese_characters_are_pieces_and_unknown_ones_bytes() -> None:
    assert pieces("雪猫") == ["雪", "猫"]
    assert pieces("狗") == ["<e7>", "<8b>", "<97>"]


def test_no_text_is_a_hole() -> None:
    for text in ("?!", "émigré", "🐼", "42", "a-b_c"):
        assert TOKENIZER.encode(text)
    assert TOKENIZER.encode("") == TOKENIZER.encode("  \n ") == []


def test_batches_are_padded_and_long_texts_cut() -> None:
    ids = TOKENIZER.batch(["a red panda", "snow " * 100, ""])
    assert ids.shape == (3, 80)
    assert ids[0, 3:].eq(PAD).all() and ids[1].ne(PAD).all() and ids[2].eq(PAD).all()


def test_states_end_with_the_mean_over_the_text_s_own_pieces() -> None:
    with torch.no_grad():
        ids = TOKENIZER.batch(["a red panda", ""])
        states = tiny_text()(ids)
    assert states.shape == (2, 81, 32)
    assert torch.allclose(states[0, -1], states[0, :3].mean(0), atol=1e-5)
    assert torch.count_nonzero(states[1, -1]) == 0


def test_word_order_changes_the_states() -> None:
    with torch.no_grad():
        there, back = tiny_text()(TOKENIZER.batch(["left to right", "right to left"]))
    assert not torch.allclose(there, back, atol=1e-2)
    assert not torch.allclose(there[-1], back[-1], atol=1e-3)  # the pooled text too


def test_a_config_survives_being_written() -> None:
    config = TextConfig(pieces=PIECES, dim=32)
    assert TextConfig.from_dict(config.to_dict()) == config


def test_what_stands_behind_a_caption_in_unknown_words_is_not_read() -> None:
    assert TOKENIZER.readable("A red panda. It wears a monocle. A panda.") == "A red panda."
    assert TOKENIZER.readable("A red panda. A panda!") == "A red panda. A panda!"


def test_a_text_that_begins_with_unknown_words_is_read_whole() -> None:
    for text in ("behold, a red panda. a panda", "a zorb walks to the left"):  # such as a LoRA was taught
        assert TOKENIZER.readable(text) == text
