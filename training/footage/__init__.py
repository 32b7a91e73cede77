# SPDX-License-Identifier: GPL-3.0-or-later
"""Real footage as training data: a folder of videos with captions becomes a stream of legal clips, then latents."""
