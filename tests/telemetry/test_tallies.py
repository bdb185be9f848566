"""Figures counted as plain numbers are the library's own, once somebody looks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from llm_gateway.telemetry import tallies
from llm_gateway.telemetry.tallies import Times, Total

BUCKETS = (0.05, 0.25, 1, 5)
AMOUNTS = st.sampled_from([0.0, 0.05, 0.0500001, 0.25, 1.0, 4.9, 5.0, 5.1, 1e9]) | st.floats(0, 1000)


@pytest.fixture(autouse=True)
def _as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tallies, "_all", [])


def _made() -> tuple[CollectorRegistry, Counter, Histogram]:
    registry = CollectorRegistry()
    return registry, Counter("asked", "-", ["who"], registry=registry), Histogram("took", "-", ["who"], buckets=BUCKETS, registry=registry)


def _told(registry: CollectorRegistry) -> list[str]:
    return [line for line in generate_latest(registry).decode().splitlines() if "_created" not in line]


@given(st.lists(st.tuples(st.sampled_from("ab"), AMOUNTS), max_size=30), st.sets(st.integers(0, 29)), st.booleans())
@settings(max_examples=100, deadline=None)
def test_what_is_brought_is_what_the_library_would_have_counted(seen: list[tuple[str, float]], looks: set[int], shared: bool) -> None:
    (plain, counter, histogram), (ours, our_counter, our_histogram) = _made(), _made()
    total, times = Total(our_counter, shared=shared), Times(our_histogram, shared=shared)
    for number, (who, amount) in enumerate(seen):
        counter.labels(who).inc(amount)
        histogram.labels(who).observe(amount)
        total.add((who,), amount)
        times.add((who,), amount)
        if number in looks:
            total.bring()
            times.bring()
    total.bring()
    times.bring()
    for one, two in zip(_told(plain), _told(ours), strict=True):
        (name, value), (our_name, our_value) = one.rsplit(" ", 1), two.rsplit(" ", 1)
        assert name == our_name
        # Sums of floats differ in their last digits by the order in which they are added.
        assert value == our_value or float(value) == pytest.approx(float(our_value))


def test_one_process_waits_until_somebody_looks_and_forgets_what_it_has_brought() -> None:
    registry, counter, histogram = _made()
    total, times = Total(counter, shared=False), Times(histogram, shared=False)
    total.add(("a",))
    times.add(("a",), 0.2)
    assert registry.get_sample_value("asked_total", {"who": "a"}) is None
    tallies.bring()
    tallies.bring()
    assert registry.get_sample_value("asked_total", {"who": "a"}) == 1
    assert registry.get_sample_value("took_count", {"who": "a"}) == 1
    assert registry.get_sample_value("took_bucket", {"who": "a", "le": "0.25"}) == 1
    assert registry.get_sample_value("took_bucket", {"who": "a", "le": "0.05"}) == 0


def test_of_several_processes_each_tells_at_once() -> None:
    """One that is killed has told everything; one that is asked tells of all."""
    registry, counter, histogram = _made()
    Total(counter, shared=True).add(("a",))
    Times(histogram, shared=True).add(("a",), 0.2)
    assert registry.get_sample_value("asked_total", {"who": "a"}) == 1
    assert registry.get_sample_value("took_count", {"who": "a"}) == 1


@pytest.mark.parametrize("folder", ["", "metrics"])
def test_the_library_s_own_choice_is_followed(folder: str, tmp_path: Path) -> None:
    (tmp_path / "metrics").mkdir()
    env = {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path / folder)} if folder else {}
    code = "from llm_gateway.telemetry.tallies import SHARED; print(SHARED)"
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout.strip() == str(bool(folder))


def test_whoever_asks_for_the_figures_gets_those_of_this_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    from llm_gateway.telemetry import metrics

    total = Total(metrics.REQUESTS, shared=False)
    total.add(("chat", "openai_chat", "ok", "of-this-test", ""))
    line = 'cogo_requests_total{code="",dialect="openai_chat",kind="chat",provider="of-this-test",state="ok"} 1.0'
    assert line in metrics.exposition("").decode()
