"""Confidence intervals and a plain forecast. Pure, standard library only."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist, fmean, stdev

import msgspec


class Interval(msgspec.Struct, frozen=True):
    low: float
    high: float


def z(confidence: float = 0.95) -> float:
    return NormalDist().inv_cdf(0.5 + confidence / 2)


def wilson(successes: int, trials: int, confidence: float = 0.95) -> Interval | None:
    """Wilson's score interval of a proportion: sane for few trials and for rates near 0 and 1. ``None`` without trials."""
    if trials <= 0:
        return None
    q = z(confidence)
    share = successes / trials
    scale = 1 + q * q / trials
    centre = (share + q * q / (2 * trials)) / scale
    half = q * math.sqrt(share * (1 - share) / trials + q * q / (4 * trials * trials)) / scale
    return Interval(max(0.0, centre - half), min(1.0, centre + half))


def mean_interval(mean: float | None, deviation: float | None, count: int, confidence: float = 0.95) -> Interval | None:
    """The normal interval of a mean, cut at 0. ``None`` below two observations."""
    if mean is None or deviation is None or count < 2:
        return None
    half = z(confidence) * deviation / math.sqrt(count)
    return Interval(max(0.0, mean - half), mean + half)


class Projection(msgspec.Struct, frozen=True):
    """``expected`` with a range that holds it in 80 of 100 months like the last weeks."""

    expected: float
    low: float
    high: float


def project(spent: float, recent_days: Sequence[float], days_left: float) -> Projection | None:
    """What a period will have cost when it ends: what is spent, and the mean of recent whole days for those left. ``None`` below three."""
    if len(recent_days) < 3:
        return None
    half = z(0.80) * stdev(recent_days) * math.sqrt(max(0.0, days_left))
    expected = spent + fmean(recent_days) * days_left
    return Projection(expected, max(spent, expected - half), expected + half)
