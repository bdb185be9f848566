"""What every request to one target has in common: facts, address, headers and clocks, worked out once for each of a catalogue's rows.

The catalogue's values are frozen and a newer catalogue holds other ones, so an entry that was made of the very same values still holds.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from llm_gateway.core.catalog import Target
from llm_gateway.core.host_facts import FactRow, HostFacts
from llm_gateway.policies.deadline import Clocks, clocks_for
from llm_gateway.providers import services
from llm_gateway.providers._base import join_url
from llm_gateway.wires import ModelFacts, issuer_of, wires

from .client import FixedHeaders

_MOST = 4096
# Longer names of a model than this are not remembered: a caller may write any.
_MOST_CHARS = 200
_NOTHING: Mapping[str, str] = {}


class Way:
    """``issuer``: whose thinking the target takes back; ``marked``: its streams end with a mark of their own."""

    __slots__ = ("_clocks", "_headers", "_target", "_urls", "facts", "issuer", "marked", "service", "wire")

    def __init__(self, target: Target) -> None:
        self._target = target
        provider = target.provider
        self.service = services.get(provider.service)
        self.wire = wires.get(provider.wire)
        self.issuer = issuer_of(provider.slug, target.upstream_id)
        self.facts = msgspec.structs.replace(_facts_of(target), issuer=self.issuer)
        self.marked = bool(getattr(self.wire, "end_mark", b""))
        self._headers = FixedHeaders(self.service.headers(provider.wire, target.credential.secret, _NOTHING))
        self._urls: dict[tuple[str, bool], str] = {}
        self._clocks: dict[bool, tuple[Clocks, Clocks]] = {}

    def holds_for(self, target: Target) -> bool:
        own = self._target
        return own.provider is target.provider and own.credential is target.credential and own.model is target.model

    def url(self, kind: str, streamed: bool) -> str:
        """Raises :class:`UnsupportedParameter` where the format has no such endpoint."""
        found = self._urls.get((kind, streamed))
        if found is None:
            found = join_url(self._target.provider.base_url, self.wire.path(kind, self.facts, streamed))
            self._urls[kind, streamed] = found
        return found

    def headers(self, passed: Mapping[str, str]) -> dict[str, str]:
        """``passed``: the caller's own, of which the service lets some through; mostly there are none. Nobody changes the result."""
        service = self.service
        if service.facts.pass_headers.isdisjoint(passed):
            return self._headers
        return service.headers(self.wire.name, self._target.credential.secret, passed)

    def clocks(self, remaining_s: float | None, defaults: Clocks, streamed: bool) -> Clocks:
        """See :func:`clocks_for`."""
        if remaining_s is not None:
            return clocks_for(self._target.provider, remaining_s, defaults, streamed=streamed)
        known = self._clocks.get(streamed)
        if known is None or known[0] is not defaults:
            known = self._clocks[streamed] = defaults, clocks_for(self._target.provider, None, defaults, streamed=streamed)
        return known[1]


# Whoever names a model of a host that takes all names adds an entry, so there is an end.
_ways: dict[tuple[int, int, int, str], Way] = {}


def way_to(target: Target) -> Way:
    key = (id(target.provider), id(target.credential), id(target.model), target.upstream_id)
    found = _ways.get(key)
    # As holds_for says.
    if (
        found is None
        or (own := found._target).provider is not target.provider
        or own.credential is not target.credential
        or own.model is not target.model
    ):
        found = Way(target)
        if len(target.upstream_id) <= _MOST_CHARS:
            if len(_ways) >= _MOST:
                _ways.clear()
            _ways[key] = found
    return found


def forget_ways() -> None:
    """A newer catalogue has come: nothing of an older one, least of all a key, is kept."""
    _ways.clear()


def model_facts(target: Target) -> ModelFacts:
    """What is known of a model: by its service, the host's preset, the operator's facts, and the catalogue's figures."""
    return way_to(target).facts


def _facts_of(target: Target) -> ModelFacts:
    model, provider = target.model, target.provider
    return _facts(
        provider.service, provider.wire, target.upstream_id, provider.habits, (provider.facts, model.facts),
        model.context_window, model.max_output_tokens, model.capabilities,
    )  # fmt: skip


def _facts(
    service: str, wire: str, upstream_id: str, habits: tuple[FactRow, ...], own: tuple[HostFacts, ...], window: int | None,
    limit: int | None, capabilities: frozenset[str],
) -> ModelFacts:  # fmt: skip
    facts = services.get(service).model_facts(wire, upstream_id)
    for row in habits:
        if row.holds_for(upstream_id):
            known = row.facts.known()
            # The rows of a host add up; what an operator says stands alone.
            known["extensions"] = facts.extensions | known.get("extensions", frozenset())
            facts = msgspec.structs.replace(facts, **known)
    for mine in own:
        facts = msgspec.structs.replace(facts, **mine.known())
    return msgspec.structs.replace(
        facts,
        context_window=window if window is not None else facts.context_window,
        max_output_tokens=limit if limit is not None else facts.max_output_tokens,
        capabilities=capabilities | facts.capabilities if capabilities else facts.capabilities,
    )
