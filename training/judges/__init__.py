# SPDX-License-Identifier: GPL-3.0-or-later
"""What reads generated clips for the evaluation: small networks that see, and plain measures of what they saw."""
