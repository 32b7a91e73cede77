# SPDX-License-Identifier: GPL-3.0-or-later
"""Every way of prompting with images and videos, as an edit of (samples, mask); no host and no model in sight."""
