from __future__ import annotations

import random
from statistics import quantiles

import pytest

from analytics import histogram
from analytics.statistics import mean_interval, project, wilson


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    # Newcombe 1998, table I, method 3 (score without continuity correction).
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0000, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilsons_interval_equals_published_figures(successes: int, trials: int, low: float, high: float) -> None:
    found = wilson(successes, trials)
    assert found is not None
    assert (round(found.low, 4), round(found.high, 4)) == (low, high)


def test_intervals_of_nothing_are_none() -> None:
    assert wilson(0, 0) is None
    assert mean_interval(None, None, 0) is None
    assert mean_interval(5.0, 1.0, 1) is None


def test_an_interval_of_times_does_not_go_below_zero() -> None:
    found = mean_interval(1.0, 100.0, 2)
    assert found is not None
    assert found.low == 0


def test_a_forecast_needs_three_days_and_never_falls_below_what_is_spent() -> None:
    assert project(5.0, [1.0, 2.0], 10) is None
    steady = project(10.0, [2.0, 2.0, 2.0], 5)
    assert steady is not None
    assert (steady.expected, steady.low, steady.high) == (20.0, 20.0, 20.0)
    wild = project(10.0, [0.0, 0.0, 30.0], 1)
    assert wild is not None
    assert wild.low == 10.0 < wild.expected < wild.high


@pytest.mark.parametrize("seed", range(5))
def test_percentiles_are_within_five_percent(seed: int) -> None:
    rng = random.Random(seed)
    times = [rng.lognormvariate(7, 1) for _ in range(5000)]
    counts = sum(histogram.of(histogram.bucket(time)) for time in times)
    exact = quantiles(times, n=100, method="inclusive")
    for share, value in ((0.5, exact[49]), (0.95, exact[94]), (0.99, exact[98])):
        assert histogram.percentile(counts, share) == pytest.approx(value, rel=0.06)


def test_buckets_cover_every_time() -> None:
    assert [histogram.bucket(t) for t in (0, 0.5, 1)] == [0, 0, 0]
    assert histogram.bucket(10**12) == histogram.TOP
    assert histogram.percentile(0, 0.5) is None
    assert histogram.percentile(histogram.of(3), 0.0) == histogram.percentile(histogram.of(3), 1.0) == histogram.middle(3)


def test_to_add_histograms_is_to_merge_them() -> None:
    one, other = histogram.of(3) + histogram.of(4, 2), histogram.of(3, 5) + histogram.of(histogram.TOP, 10**10)
    assert histogram.counts(one + other) == {3: 6, 4: 2, histogram.TOP: 10**10}
    assert histogram.unpacked(histogram.packed(one + other)) == one + other
    assert (histogram.packed(0), histogram.unpacked(b""), histogram.unpacked(None)) == (b"", 0, 0)
