# SPDX-License-Identifier: GPL-3.0-or-later
"""Confidence intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

Z = 1.959964  # 95 percent


def wilson(right: float, count: int, z: float = Z) -> tuple[float, float]:
    """The interval (0..1) of a share of which ``right`` of ``count`` were seen (Wilson, 1927). (0, 1) for none."""
    if count == 0:
        return 0.0, 1.0
    share = right / count
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count)) / (1 + z * z / count)
    return max(0.0, middle - half), min(1.0, middle + half)


def bootstrap(values: Sequence[float], draws: int = 2000) -> tuple[float, float]:
    """The interval of a mean from means of samples drawn from the sample, always the same ones (Efron, 1979)."""
    sample = np.asarray(values, np.float64)
    if len(sample) < 2:
        return (-math.inf, math.inf) if len(sample) == 0 else (float(sample[0]), float(sample[0]))
    chosen = np.random.default_rng(0).integers(len(sample), size=(draws, len(sample)))
    low, high = np.percentile(sample[chosen].mean(1), (2.5, 97.5))
    return float(low), float(high)


def mean_and_interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Mean, low and high: Wilson's interval where all values are 0 or 1, else the bootstrap's."""
    mean = float(np.mean(values))
    if all(v in (0.0, 1.0) for v in values):
        return mean, *wilson(sum(values), len(values))
    return mean, *bootstrap(values)
