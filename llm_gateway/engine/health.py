"""What this process knows of deployments: breakers, cooldowns, and a sliding window of how they did.

Decisions are :mod:`llm_gateway.policies`' pure functions; here is only the memory. Changes that must survive a restart or reach other
workers go to ``on_effect``.
"""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import msgspec

from llm_gateway.core.catalog import Target
from llm_gateway.core.errors import Failure
from llm_gateway.core.usage import Usage
from llm_gateway.policies import breaker as breakers
from llm_gateway.policies.breaker import Breaker
from llm_gateway.policies.health import Effect, effect, recovered, tripped
from llm_gateway.policies.lengths import UNKNOWN, Lengths, learnt
from llm_gateway.strategies import Stats

from .contexts import Contexts, Frozen

WINDOW_S = 900.0
MAX_SAMPLES = 200
MAX_DEPLOYMENTS = 4096

Deployment = tuple[int, str]
OnEffect = Callable[[Target, Effect, Failure | None], None]


class DeploymentHealth:
    """What is known of deployments. One event loop, no locks.

    :meth:`admit` takes the half-open probe's place; each admission ends in exactly one of :meth:`succeeded`, :meth:`failed` and
    :meth:`released`, which is the work of a :class:`~llm_gateway.engine.ticket.Ticket`.
    """

    def __init__(self, on_effect: OnEffect | None = None) -> None:
        self._breakers: dict[Deployment, Breaker] = {}
        self._disabled: dict[Deployment, str] = {}
        self._disabled_keys: dict[int, str] = {}
        self._key_rests: dict[int, tuple[float, str]] = {}
        self._hosts: dict[str, Breaker] = {}
        # By model: the mean score of its answers, 0 to 1, and how many. Empty until a strategy asks for it.
        self.qualities: Mapping[int, tuple[float, int]] = {}
        self._samples: dict[Deployment, deque[tuple[float, bool, float | None, float | None, int | None]]] = {}
        self._reasons: dict[Deployment, str] = {}
        # Whose answer a half-open breaker waits for; a request that was sent earlier must not end another's probe.
        self._probers: dict[Deployment | str, Target] = {}
        self._shared: set[Deployment] = set()
        # (estimated tokens of the shortest prompt refused as too long, when)
        self._too_long: dict[Deployment, tuple[int, float]] = {}
        self._lengths: dict[Deployment, Lengths] = {}
        self._on_effect = on_effect
        self.contexts = Contexts()

    def admit(self, target: Target) -> str | None:
        if target.provider.ignore_health:
            return None
        if not (self._breakers or self._disabled_keys or self._disabled or self._key_rests or self._hosts):
            return None
        key = target.deployment
        if target.credential.id in self._disabled_keys:
            return self._disabled_keys[target.credential.id]
        if key in self._disabled:
            return self._disabled[key]
        now = time.monotonic()
        if self._key_rests and (rest := self._key_rests.get(target.credential.id)) is not None:
            if rest[0] > now:
                return f"its key rests for {rest[0] - now:.0f} s: {rest[1]}"
            del self._key_rests[target.credential.id]
        breaker = self._breakers.get(key)
        after = breaker
        if breaker is not None:
            allowed, after = breakers.admit(breaker, now)
            if not allowed:
                return f"cooling for {breakers.wait_s(breaker, now):.1f} s: {self._reasons.get(key, 'failures')}"
        if self._hosts and (host := self._hosts.get(_host(target))) is not None:
            allowed, probed = breakers.admit(host, now)
            if not allowed:
                return f"its host cannot be resolved; looked at again in {breakers.wait_s(host, now):.0f} s"
            if probed is not host:
                self._hosts[_host(target)] = probed
                self._probers[_host(target)] = target
        # A probe's place is taken only when everything else allows it.
        if after is not None and after is not breaker:
            self._breakers[key] = after
            self._probers[key] = target
        return None

    def look(self, target: Target) -> str | None:
        """What :meth:`admit` would say; no place is taken."""
        key, host = target.deployment, _host(target)
        tables: tuple[tuple[dict[Any, Any], Any], ...] = (
            (self._breakers, key), (self._hosts, host), (self._probers, key), (self._probers, host),
        )  # fmt: skip
        before = [(table, name, table.get(name)) for table, name in tables]
        why = self.admit(target)
        for table, name, value in before:
            if value is None:
                table.pop(name, None)
            else:
                table[name] = value
        return why

    def wait_s(self, target: Target) -> float:
        now = time.monotonic()
        if target.credential.id in self._disabled_keys or target.deployment in self._disabled:
            return 60.0
        host = self._hosts.get(_host(target)) if self._hosts else None
        rest = self._key_rests.get(target.credential.id)
        if rest is not None and rest[0] > now:
            return rest[0] - now
        waits = [breakers.wait_s(b, now) for b in (self._breakers.get(target.deployment), host) if b is not None]
        return max(waits, default=0.0)

    def needs_operator(self, target: Target) -> bool:
        """Whether what keeps ``target`` out does not pass by itself: its provider refused the key, or it is out until further notice."""
        out = target.credential.id in self._disabled_keys or target.deployment in self._disabled
        return out and not target.provider.ignore_health

    def panic(self, target: Target) -> bool:
        """Every candidate is out by passing faults: whether this one may be tried all the same, one request at a time."""
        key = target.deployment
        if target.credential.id in self._disabled_keys or key in self._disabled:
            return False
        now = time.monotonic()
        rest = self._key_rests.get(target.credential.id)
        breaker = self._breakers.get(key)
        if breaker is None or breaker.cool_until > now or (rest is not None and rest[0] > now):
            return False
        allowed, after = breakers.panic(breaker, now)
        if allowed:
            self._breakers[key] = after
            self._probers[key] = target
        return allowed

    def succeeded(self, target: Target, latency_ms: float, ttft_ms: float | None, cost_nusd: int | None) -> None:
        now = time.monotonic()
        key = (target.credential.id, target.upstream_id)
        probing = False
        if self._probers:
            probing = self._probers.get(key) is target
            self.released(target)
        breaker = self._breakers.get(key)
        # A half-open breaker waits for its probe: an answer that was asked for before it opened says nothing of now.
        if breaker is not None and (probing or breaker.state is not breakers.State.HALF_OPEN):
            if breaker.state is breakers.State.HALF_OPEN and breaker.until > now and self._on_effect:
                self._on_effect(target, recovered(), None)
            after = breakers.success(breaker, now)
            if after.state is breakers.State.CLOSED and after.cool_until <= now and not after.run and not after.seconds:
                del self._breakers[key]
                self._reasons.pop(key, None)
            else:
                self._breakers[key] = after
        if self._hosts:
            self._hosts.pop(_host(target), None)
        self._sample(key, now, True, latency_ms, ttft_ms, cost_nusd)

    def failed(self, target: Target, failure: Failure, waited_s: float = 0.0) -> None:
        """``waited_s``: how long the attempt took to fail, which is no part of a run of quick failures."""
        now = time.monotonic()
        key = target.deployment
        probing = self._probers.get(key) is target
        self.released(target)
        breaker = self._breakers.get(key, Breaker())
        # The jitter of a cooldown guards nothing secret.
        outcome = effect(failure, datetime.now(UTC), breaker.consecutive, random.random())  # noqa: S311
        if outcome.scope == "none":
            if outcome.alarm and self._on_effect:
                self._on_effect(target, outcome, failure)
            return
        if self._hosts and outcome.scope != "endpoint":
            self._hosts.pop(_host(target), None)
        self._sample(key, now, False, None, None, None)
        if target.provider.ignore_health:
            return
        self._reasons[key] = outcome.reason
        if outcome.kind == "failure" and outcome.scope == "endpoint":
            self._hosts[_host(target)] = breakers.failure(self._hosts.get(_host(target), Breaker()), now, waited_s)
        elif outcome.kind == "failure":
            if probing or breaker.state is not breakers.State.HALF_OPEN:
                after = self._breakers[key] = breakers.failure(breaker, now, waited_s)
                if after.opened_at == now and after is not breaker and self._on_effect:
                    self._on_effect(target, tripped(failure.kind, datetime.now(UTC), after.until - now), failure)
        elif outcome.scope == "key" and outcome.kind == "disable":
            self._disabled_keys[target.credential.id] = outcome.reason
        elif outcome.kind == "disable" and outcome.until is None:
            self._disabled[key] = outcome.reason
        elif outcome.until is not None:
            rest = (outcome.until - datetime.now(UTC)).total_seconds()
            if outcome.scope == "key":
                self._key_rests[target.credential.id] = (now + rest, outcome.reason)
            else:
                late = breaker.state is breakers.State.HALF_OPEN and not probing
                counted = breakers.failure(breaker, now, waited_s) if outcome.kind == "cooldown" and not late else breaker
                self._breakers[key] = breakers.cool(counted, now, rest)
        if self._on_effect:
            self._on_effect(target, outcome, failure)

    def released(self, target: Target) -> None:
        if not self._probers:
            return
        key, host = target.deployment, _host(target)
        if self._probers.get(key) is target:
            del self._probers[key]
            if (breaker := self._breakers.get(key)) is not None:
                self._breakers[key] = breakers.release(breaker)
        if self._probers.get(host) is target:
            del self._probers[host]
            if (breaker := self._hosts.get(host)) is not None:
                self._hosts[host] = breakers.release(breaker)

    def refused_length(self, target: Target, prompt_tokens: int) -> None:
        """The deployment refused a prompt of about this many tokens as too long (U13)."""
        now = time.monotonic()
        shortest, since = self._too_long.get(target.deployment, (prompt_tokens, now))
        self._too_long[target.deployment] = (min(shortest, prompt_tokens) if since > now - WINDOW_S else prompt_tokens, now)

    def takes_length(self, target: Target, prompt_tokens: int) -> bool:
        """Whether nothing as short as this was refused as too long lately."""
        found = self._too_long.get(target.deployment)
        return found is None or prompt_tokens < found[0] or found[1] <= time.monotonic() - WINDOW_S

    def lengths(self, target: Target) -> Lengths:
        return self._lengths.get((target.credential.id, target.upstream_id), UNKNOWN)

    def measured(self, target: Target, usage: Usage, chars: int, guessed: int) -> None:
        """A complete answer as its provider counted it; ``guessed``: our own count of its prompt."""
        key = (target.credential.id, target.upstream_id)
        known = self._lengths.get(key)
        if known is None:
            _make_room(self._lengths)
            known = UNKNOWN
        self._lengths[key] = learnt(known, usage, chars, guessed)

    def frozen(self) -> Frozen:
        """What strategies see: the numbers of this second, the same for every decision made in it."""
        return self.contexts.statistics(self._all, lambda: self.qualities)

    def _all(self) -> dict[Deployment, Stats]:
        now = time.monotonic()
        return {key: self._stats(key, now) for key in self._samples}

    def of(self, targets: Sequence[Target]) -> list[Stats]:
        now = time.monotonic()
        found = [self._stats(target.deployment, now) for target in targets]
        if self.qualities:
            return [with_quality(stats, self.qualities.get(target.model.id)) for target, stats in zip(targets, found, strict=True)]
        return found

    def view(self) -> Mapping[Deployment, Mapping[str, Any]]:
        """For status pages: every deployment that is not simply healthy."""
        now = time.monotonic()
        shown: dict[Deployment, Mapping[str, Any]] = {}
        for key, breaker in self._breakers.items():
            wait = breakers.wait_s(breaker, now)
            state = "cooling" if breaker.cool_until > now else breaker.state.value
            if state != "closed":
                shown[key] = {"state": state, "reason": self._reasons.get(key, ""), "wait_s": round(wait, 1)}
        for key, reason in self._disabled.items():
            shown[key] = {"state": "off", "reason": reason, "wait_s": None}
        return shown

    def restore(self, rows: Iterable[tuple[Deployment, str, str, float | None]]) -> None:
        """Rests another worker or an earlier process wrote: (deployment, state, reason, seconds left or ``None`` for off)."""
        now = time.monotonic()
        seen = set()
        for key, state, reason, left in rows:
            seen.add(key)
            self._reasons[key] = reason
            if state == "off" and left is None:
                self._disabled[key] = reason
            elif state == "tripped":
                self._breakers[key] = breakers.trip(self._breakers.get(key, Breaker()), now, left or 0.0)
            elif left is not None and left > 0:
                self._breakers[key] = breakers.cool(self._breakers.get(key, Breaker()), now, left)
        for key in self._shared - seen:
            breaker = self._breakers.get(key)
            # A rest that ended by itself leaves the count of failures; one that had time left was cleared by an operator.
            if key in self._disabled or (breaker is not None and max(breaker.cool_until, breaker.until) > now + 1):
                self.forget(key)
        self._shared = seen

    def forget(self, key: Deployment) -> None:
        """An operator cleared it."""
        self._breakers.pop(key, None)
        self._disabled.pop(key, None)
        self._reasons.pop(key, None)

    def keys_now_routable(self, credential_ids: Iterable[int]) -> None:
        """A newer catalogue lists these keys as usable: what was learnt of an older secret no longer counts."""
        for credential_id in credential_ids:
            self._disabled_keys.pop(credential_id, None)
            self._key_rests.pop(credential_id, None)

    def _sample(self, key: Deployment, now: float, ok: bool, latency: float | None, ttft: float | None, cost: int | None) -> None:
        samples = self._samples.get(key)
        if samples is None:
            _make_room(self._samples)
            samples = self._samples[key] = deque(maxlen=MAX_SAMPLES)
        samples.append((now, ok, latency, ttft, cost))

    def _stats(self, key: Deployment, now: float) -> Stats:
        samples = self._samples.get(key)
        if not samples:
            return Stats()
        while samples and samples[0][0] < now - WINDOW_S:
            samples.popleft()
        latencies = sorted(s[2] for s in samples if s[2] is not None)
        ttfts = sorted(s[3] for s in samples if s[3] is not None)
        costs = [s[4] for s in samples if s[4] is not None]
        return Stats(
            requests=len(samples),
            successes=sum(1 for s in samples if s[1]),
            latency_ms=latencies[len(latencies) // 2] if latencies else None,
            ttft_ms=ttfts[len(ttfts) // 2] if ttfts else None,
            cost_nusd=sum(costs) / len(costs) if costs else None,
        )


def with_quality(stats: Stats, known: tuple[float, int] | None) -> Stats:
    return stats if known is None else msgspec.structs.replace(stats, quality=known[0], scored=known[1])


def _make_room(table: dict[Deployment, Any]) -> None:
    """For one more: callers may name any model of a provider that takes all names, so the oldest is forgotten."""
    if len(table) >= MAX_DEPLOYMENTS:
        del table[next(iter(table))]


def _host(target: Target) -> str:
    return urlsplit(target.provider.base_url).netloc
