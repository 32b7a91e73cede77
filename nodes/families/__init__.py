# SPDX-License-Identifier: GPL-3.0-or-later
"""One small adapter per foreign model family: what a host internal looks like, and where that was seen."""
