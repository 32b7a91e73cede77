# SPDX-License-Identifier: GPL-3.0-or-later
"""What a node tells the user when its inputs do not go together."""

from __future__ import annotations


class InputError(ValueError):
    """An input that cannot be used; the message says which, with which value, and what to do."""

    __module__ = "spacetime"  # the host shows it before the sentence, otherwise with the path of this folder
