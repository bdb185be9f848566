"""One decision of the log, made again by another policy. Nobody is called, nothing is logged, no money is held (P2)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from django.db.models import QuerySet

from llm_gateway.core.catalog import Snapshot, Target
from llm_gateway.core.learning import Learnt
from llm_gateway.models import RequestLog
from llm_gateway.stores.contexts import ContextReader
from llm_gateway.strategies import DRAWS, Candidate, Choice, Ranking, RequestFacts, read_choice, strategies

CHUNK = 500
FIELDS = (
    "id", "created_at", "client_key__public_id", "stream", "choice", "policy", "state", "latency_ms", "ttft_ms", "cost_nusd",
    "input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens", "model__name", "finish_reason",
)  # fmt: skip


class Row(NamedTuple):
    """The columns of :data:`FIELDS`."""

    id: UUID
    created_at: datetime
    client: str | None
    stream: bool
    choice: str
    policy: int | None
    state: str
    latency_ms: int | None
    ttft_ms: int | None
    cost_nusd: int | None
    input_tokens: int | None
    cache_read_tokens: int | None
    cache_write_tokens: int | None
    output_tokens: int | None
    model: str | None
    finish_reason: str


class Scene(msgspec.Struct, frozen=True):
    """What a strategy saw of one request."""

    row: Row
    choice: Choice
    facts: RequestFacts
    candidates: Sequence[Candidate]

    @property
    def draw(self) -> float:
        return self.choice.draw / DRAWS

    def ranked(self, kind: str, settings: Mapping[str, Any]) -> Ranking:
        return strategies.get(kind).order(self.candidates, self.facts, settings, self.draw)


class NotReplayable(Exception):  # an outcome, not a fault
    """The reason, in the words of the report."""


class Scenes:
    """Sets scenes from rows; reads what they share once. ``today``: candidates as they are in this catalogue now, not as they were."""

    def __init__(self, today: Snapshot | None = None) -> None:
        self._reader = ContextReader()
        self._today = today
        self._targets: dict[tuple[int, str], list[Target | None] | None] = {}

    def all(self, rows: QuerySet[RequestLog]) -> Iterator[tuple[Row, Scene | str]]:
        """Each row with its scene, or with the reason why it has none. Streams: memory does not grow with the rows."""
        chunk: list[Row] = []
        for values in rows.values_list(*FIELDS).iterator(chunk_size=CHUNK):
            chunk.append(Row(*values))
            if len(chunk) == CHUNK:
                yield from self._chunk(chunk)
                chunk = []
        yield from self._chunk(chunk)

    def one(self, row: Row) -> Scene:
        """Raises :class:`NotReplayable`."""
        return self._scene(row, _read(row))

    def _chunk(self, rows: Sequence[Row]) -> Iterator[tuple[Row, Scene | str]]:
        choices: list[Choice | str] = []
        keys: list[str] = []
        for row in rows:
            try:
                choice = _read(row)
            except NotReplayable as error:
                choices.append(str(error))
                continue
            choices.append(choice)
            keys += (f"v{choice.catalogue}", choice.statistics, choice.candidates)
        self._reader.prefetch(keys)
        for row, found in zip(rows, choices, strict=True):
            if isinstance(found, str):
                yield row, found
                continue
            try:
                yield row, self._scene(row, found)
            except NotReplayable as error:
                yield row, str(error)

    def _scene(self, row: Row, choice: Choice) -> Scene:
        targets = self._candidates(choice)
        if targets is None:
            raise NotReplayable("the catalogue of then is not kept any more")
        stats = self._reader.statistics(choice.statistics)
        if stats is None:
            raise NotReplayable("the statistics of then were not written down")
        if len(targets) != len(choice.estimates):
            raise NotReplayable("its candidates do not fit its estimates")
        candidates = []
        for target, estimate in zip(targets, choice.estimates, strict=True):
            if target is None:
                if self._today is None:
                    raise NotReplayable("a model or key of then is not in its catalogue copy")
                continue  # gone today
            candidates.append(Candidate(target=target, stats=stats.of(target), estimate_nusd=estimate, learnt=self._learnt(choice, target)))
        return Scene(row, choice, choice.facts(row.created_at, row.client or "", row.stream), candidates)

    def _learnt(self, choice: Choice, target: Target) -> Learnt | None:
        snapshot = self._today or self._reader.catalogue(choice.catalogue)
        return None if snapshot is None else snapshot.learnt.get(target.model.id)

    def _candidates(self, choice: Choice) -> list[Target | None] | None:
        place = (choice.catalogue, choice.candidates)
        if place not in self._targets:
            if len(self._targets) > 5000:
                self._targets.clear()
            self._targets[place] = self._found(choice)
        return self._targets[place]

    def _found(self, choice: Choice) -> list[Target | None] | None:
        snapshot = self._today or self._reader.catalogue(choice.catalogue)
        listed = self._reader.candidates(choice.candidates)
        if snapshot is None or listed is None:
            return None
        models = {model.id: model for model in snapshot.models.values()}
        keys = {key.id: key for many in snapshot.credentials.values() for key in many}
        found: list[Target | None] = []
        for key_id, model_id in listed[0]:
            key, model = keys.get(key_id), models.get(model_id)
            provider = snapshot.providers.get(model.provider_id) if model is not None else None
            if key is None or model is None or provider is None:
                found.append(None)
            else:
                found.append(Target(provider=provider, credential=key, model=model, upstream_id=model.upstream_id))
        return found


def _read(row: Row) -> Choice:
    try:
        return read_choice(row.choice)
    except ValueError:
        raise NotReplayable("its decision cannot be read") from None
