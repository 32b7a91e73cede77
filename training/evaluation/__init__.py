# SPDX-License-Identifier: GPL-3.0-or-later
"""The evaluation: one table of what a model does with prompts that it was never trained on."""
