"""The face of a strategy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

import msgspec

from llm_gateway.core.catalog import Target
from llm_gateway.core.learning import Learnt

from ._schema import Setting


class Stats(msgspec.Struct, frozen=True, kw_only=True):
    """What a sliding window saw of one deployment. Times in milliseconds; ``None`` while nothing is known. ``quality``: the mean score of
    its model's answers, 0 to 1, over ``scored`` of them in the last days."""

    requests: int = 0
    successes: int = 0
    latency_ms: float | None = None
    ttft_ms: float | None = None
    cost_nusd: float | None = None
    last_seen: datetime | None = None
    quality: float | None = None
    scored: int = 0


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A target with what is known of it now. ``estimate_nusd``: what this request would cost there at most, ``None`` unpriced.
    ``learnt``: what its answers taught; ``None`` where nothing is learnt."""

    target: Target
    stats: Stats = Stats()
    estimate_nusd: int | None = None
    learnt: Learnt | None = None


class RequestFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a strategy may look at. ``sticky``: user or session whose requests should stay together; ``user``: the caller's own user;
    ``client``: the client key's public id, empty for staff; ``affinity``: what repeats with the same prompt prefix. Where a request is
    routed, ``sticky``, ``user`` and ``affinity`` are keyed digests: strategies hash them and nobody can read them back."""

    now: datetime
    prompt_tokens: int
    max_tokens: int | None
    needs: frozenset[str] = frozenset()
    task_type: str | None = None
    language: str | None = None
    framework: str | None = None
    sticky: str = ""
    client: str = ""
    affinity: str = ""
    user: str = ""
    stream: bool = False


class Ranking(msgspec.Struct, frozen=True, kw_only=True):
    """``order``: indices into the candidates, best first, each at most once (left out: not to be tried). ``scores``: one JSON-able mapping
    of score parts per candidate, in the candidates' order. ``skipped``: index to reason. ``note``: one sentence for the decision record.
    ``p``: the exact probability of each candidate being first, one per candidate, sum 1; empty: not known."""

    order: tuple[int, ...]
    scores: tuple[Mapping[str, Any], ...] = ()
    skipped: Mapping[int, str] = {}
    note: str = ""
    p: tuple[float, ...] = ()


class Strategy(Protocol):
    """``schema``: its settings, from which the console makes the form. ``settings`` passed to ``order`` have gone through ``validate``,
    which raises ValueError with a sentence for the operator (:class:`SettingError` where it is about one of them) and fills in
    defaults. ``draw``: a uniform number in [0, 1). One whose ``p`` hangs on settings and on who fits alone, and on nothing that is
    measured or asked, has an attribute ``settled`` that is true."""

    name: str
    title: str
    summary: str
    schema: tuple[Setting, ...]

    def validate(self, settings: Mapping[str, Any]) -> dict[str, Any]: ...

    def order(self, candidates: Sequence[Candidate], facts: RequestFacts, settings: Mapping[str, Any], draw: float) -> Ranking: ...
