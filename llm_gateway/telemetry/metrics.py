"""Prometheus figures. Labels hold the operator's names only, never a caller's text.

Several web processes keep theirs in files of one folder (``PROMETHEUS_MULTIPROC_DIR``, which the
supervisor sets), so that each of them reports the sum.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector
from typing_extensions import override

from . import tallies
from .processes import UP, Process

REQUESTS = Counter("cogo_requests", "Requests by how they ended.", ["kind", "dialect", "state", "provider", "code"])
ATTEMPTS = Counter("cogo_attempts", "Upstream calls by outcome.", ["provider", "outcome", "error_class"])
TOKENS = Counter("cogo_tokens", "Tokens by class.", ["provider", "type"])
COST = Counter("cogo_cost_usd", "Cost in USD of answered requests whose price is known.", ["provider"])
DURATION = Histogram(
    "cogo_request_duration_seconds",
    "From the request to its settlement.",
    ["kind"],
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300),
)
FIRST = Histogram(
    "cogo_time_to_first_token_seconds",
    "From the request to the first content.",
    ["kind"],
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
SCORES_DROPPED = Counter("cogo_scores_dropped", "Answers that were not scored for want of room, by what did not look at them.", ["by"])
IN_FLIGHT = Gauge("cogo_requests_in_flight", "Requests being served.", multiprocess_mode="livesum")
READY = Gauge("cogo_ready", "1 when requests can be served.", multiprocess_mode="livemin")

AUDIT_FINDINGS = Gauge(
    "cogo_audit_findings",
    "Broken rows, files or jobs by rule, as the newest audit found them.",
    ["rule"],
    multiprocess_mode="mostrecent",
)
AUDIT_AGE = Gauge("cogo_audit_age_seconds", "Since the newest audit of its kind ran.", ["kind"], multiprocess_mode="mostrecent")


def note_audits(findings: Mapping[str, int], ages_s: Mapping[str, float]) -> None:
    """Rules by code, kinds by name."""
    for rule, broken in findings.items():
        AUDIT_FINDINGS.labels(rule).set(broken)
    for kind, age in ages_s.items():
        AUDIT_AGE.labels(kind).set(age)


def exposition(folder: str) -> bytes:
    """The figures as Prometheus reads them: of this process, or of all that write into
    ``folder``."""
    tallies.bring()
    if not folder:
        return generate_latest()
    for path in Path(folder).glob("gauge_live*_*.db"):
        pid = int(path.stem.rpartition("_")[2])
        if not _lives(pid):
            mark_process_dead(pid, folder)  # type: ignore[no-untyped-call]
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=folder)  # type: ignore[no-untyped-call]
    return generate_latest(registry)


class _Surroundings(Collector):
    """Figures that are read afresh on each scrape, because no process counts them."""

    def __init__(self, processes: Iterable[Process], parts: Mapping[str, bool]) -> None:
        self._processes = tuple(processes)
        self._parts = parts

    @override
    def collect(self) -> Iterator[Metric]:
        up = GaugeMetricFamily("cogo_process_up", "1 when a process of this gateway runs and answers.", labels=["process"])
        restarts = CounterMetricFamily("cogo_process_restarts", "How often it was started again.", labels=["process"])
        for process in self._processes:
            up.add_metric([process.name], float(process.state == UP))
            restarts.add_metric([process.name], process.restarts)
        parts = GaugeMetricFamily("cogo_part_up", "1 when a part that requests do not need works.", labels=["part"])
        for name, works in self._parts.items():
            parts.add_metric([name], float(works))
        yield from (up, restarts, parts)


def surroundings(processes: Iterable[Process], parts: Mapping[str, bool]) -> bytes:
    """The processes beside this one, and parts such as the cache, as Prometheus reads them."""
    registry = CollectorRegistry()
    registry.register(_Surroundings(processes, parts))
    return generate_latest(registry)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
