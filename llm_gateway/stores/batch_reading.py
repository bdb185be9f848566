"""A batch's file becomes its lines: read piece by piece, every fault told with its line, up to a hundred at once. Blocking."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from django.db import connection
from django.db.models import Avg, Sum

from llm_gateway.core.catalog import Identity, ModelInfo, Snapshot
from llm_gateway.core.errors import GatewayError
from llm_gateway.engine.batch_lane import Fit, batch_rates
from llm_gateway.engine.resolve import resolve
from llm_gateway.models import Batch, BatchLine, RequestLog
from llm_gateway.policies.batches import BACKLOG, BATCH_TIER, GATEWAY, LANE, LONGEST_LINE, MOST_FAULTS, MOST_LINES, PROVIDER
from llm_gateway.policies.hold import estimate_tokens, hold_nusd, output_limit
from llm_gateway.wires._batch import FORMATS, Fault, Item

from .batch_ends import close
from .connecting import short_transaction
from .files import FileGone, chunks, lines

log = logging.getLogger("cogo.batches")

STEP = 1000
LEASE = timedelta(seconds=60)
# Of a model of which nothing is known, answers are taken to have this share of what they may have.
_USUAL_SHARE = 4
_MOST_SIZES = 4096


# Batch, number, custom_id, kind, model, offset, length.
_Row = tuple[Any, int, str, str, str, int, int]


class _Model(msgspec.Struct, frozen=True):
    """What a name stands for. ``usual``: of each model the mean length of its last answers. ``chosen``: a strategy decides, so that any of
    them may answer; else the first does unless it fails. ``unpriced``: also those whose price nobody knows."""

    infos: tuple[ModelInfo, ...]
    usual: tuple[float | None, ...]
    chosen: bool
    unpriced: bool


class Prices:
    """What lines cost: at worst as a hold reckons it, whichever target answers, and with answers as long as the last ones were. Lines of
    one size cost the same."""

    def __init__(self, snapshot: Snapshot, identity: Identity | None, tier: str) -> None:
        self._snapshot = snapshot
        self._identity = identity
        self._tier = tier
        self._now = datetime.now(UTC)
        self._models: dict[str, _Model | None] = {}
        self._sizes: dict[tuple[str, int, int | None, bool], tuple[int, int] | None] = {}
        self.worst: int | None = 0
        self.expected: int | None = 0

    def add(self, item: Item, model: str) -> None:
        if self.worst is None or self.expected is None:
            return
        answers = item.kind not in ("embeddings", "embed_content")
        key = (model, estimate_tokens(len(item.body)), item.max_tokens, answers)
        try:
            found = self._sizes[key]
        except KeyError:
            if len(self._sizes) >= _MOST_SIZES:
                self._sizes.clear()
            found = self._sizes[key] = self._of(*key)
        if found is None:
            self.worst = self.expected = None
            return
        self.worst += found[0]
        self.expected += found[1]

    def _of(self, name: str, tokens: int, most: int | None, answers: bool) -> tuple[int, int] | None:
        if name not in self._models:
            self._models[name] = self._find(name)
        if (model := self._models[name]) is None:
            return None
        worst: list[int] = []
        expected: list[int] = []
        for info, usual in zip(model.infos, model.usual, strict=True):
            limit = output_limit(most, info, None) if answers else 0
            likely = limit // _USUAL_SHARE if usual is None else min(limit, round(usual))
            high, low = (hold_nusd(tokens, size, 1, info.rates, self._now, tier=self._tier) for size in (limit, likely))
            if high is None or low is None:
                if model.chosen and not model.unpriced:
                    continue
                return None
            worst.append(high)
            expected.append(low)
        if not worst:
            return None
        return max(worst), sum(expected) // len(expected) if model.chosen else expected[0]

    def _find(self, name: str) -> _Model | None:
        if self._identity is None:
            return None
        try:
            found = resolve(self._snapshot, self._identity, name, None)
        except GatewayError:
            return None
        infos = tuple({target.model.id: target.model for target in found.targets}.values())
        if self._tier == BATCH_TIER:
            infos = tuple(msgspec.structs.replace(info, rates=rates) for info in infos if (rates := batch_rates(info)))
        if not infos:
            return None
        return _Model(infos, tuple(_usual_tokens(info.id) for info in infos), found.strategy is not None, self._identity.allow_unpriced)


def _usual_tokens(model_id: int) -> float | None:
    last = RequestLog.objects.filter(model_id=model_id, state="ok", output_tokens__isnull=False).order_by("-id").values("pk")[:200]
    mean: float | None = RequestLog.objects.filter(pk__in=last).aggregate(mean=Avg("output_tokens"))["mean"]
    return mean


def read_in(batch: Batch, snapshot: Snapshot, identity: Identity | None) -> None:
    """``validating`` becomes ``in_progress`` or ``failed``. Whoever does this again begins anew."""
    _forget_lines(batch)
    faults: list[dict[str, object]] = []
    prices = Prices(snapshot, identity, "flex" if batch.economy else "standard")
    fit = Fit(snapshot, identity, datetime.now(UTC)) if batch.lane == PROVIDER else None
    cheap = Prices(snapshot, identity, BATCH_TIER)
    total = 0
    rows: list[_Row] = []
    batch_id = BatchLine._meta.get_field("batch").get_db_prep_value(batch.pk, connection)
    try:
        for number, offset, length, item in _items(batch, faults):
            total = number
            model = item.model or batch.model
            prices.add(item, model)
            if fit is not None and fit.add(number, item.kind, model):
                cheap.add(item, model)
            rows.append((batch_id, number, item.custom_id, item.kind, model[:200], offset, length))
            if len(rows) >= STEP and not faults:
                if not _store(batch, rows):
                    return
                rows = []
    except FileGone:
        faults.append(_fault(None, "input_file_id", "The input file was deleted.", "invalid_file"))
    if not faults and total == 0:
        where = "input_file_id" if batch.dialect == "openai" else "requests"
        faults.append(_fault(None, where, "It has no requests.", "empty_file"))
    if not faults and rows and not _store(batch, rows):
        return
    if fit is not None and not fit.why:
        prices = cheap
    elif fit is not None and batch.lane_asked and not faults:
        faults.append(_fault(fit.line, f"metadata.{LANE}", fit.why, "lane_unavailable"))
    _begin(batch, total, faults, prices, fit.why if fit is not None else "")


def _items(batch: Batch, faults: list[dict[str, object]]) -> Iterator[tuple[int, int, int, Item]]:
    """(number, offset, length, what it says) of each good line; of bad ones the faults, until there are too many."""
    form = FORMATS[batch.dialect]
    seen: set[str] = set()
    blank: list[int] = []
    assert batch.input_id is not None
    for number, (offset, text) in enumerate(lines(chunks(batch.input_id)), 1):
        if not text.strip():
            blank.append(number)
            continue
        # At the end of a file nobody sees blank lines; between two requests they are a slip of whoever wrote it.
        faults += [_fault(one, "", "The line is blank.", "blank_line") for one in blank]
        blank.clear()
        if number > MOST_LINES:
            faults.append(_fault(number, "", f"A batch has at most {MOST_LINES} requests; split the file.", "too_many_requests"))
            return
        try:
            if len(text) > LONGEST_LINE:
                raise Fault("", f"The line is longer than {LONGEST_LINE >> 20} MB.", "line_too_long")
            item = form.read(text, batch.endpoint)
            if item.custom_id in seen:
                raise Fault(
                    "custom_id", f"`{item.custom_id[:60]}` names an earlier request, too; each needs its own.", "duplicate_custom_id"
                )
            seen.add(item.custom_id)
        except Fault as fault:
            faults.append(_fault(number, fault.field, fault.message, fault.code))
        else:
            yield number, offset, len(text), item
        if len(faults) >= MOST_FAULTS:
            del faults[MOST_FAULTS:]
            return


def _fault(line: int | None, field: str, message: str, code: str) -> dict[str, object]:
    return {"line": line, "field": field, "message": message, "code": code}


def _insert() -> tuple[str, tuple[Any, ...]]:
    """One line's statement, and what stands in it beside a :data:`_Row`: every other column as its field begins. Fifty thousand lines as
    objects of the ORM take four times as long as all the rest."""
    given = ("batch_id", "number", "custom_id", "kind", "model", "offset", "length")
    beginning = [field for field in BatchLine._meta.concrete_fields if field.column not in given and not field.primary_key]
    names = ", ".join(map(connection.ops.quote_name, (*given, *(str(field.column) for field in beginning))))
    places = ", ".join(["%s"] * (len(given) + len(beginning)))
    table = connection.ops.quote_name(BatchLine._meta.db_table)
    statement = f"INSERT INTO {table} ({names}) VALUES ({places})"  # noqa: S608  # our own names
    return statement, tuple(field.get_db_prep_save(field.get_default(), connection) for field in beginning)


def _store(batch: Batch, rows: list[_Row]) -> bool:
    """Whether the batch still wants them."""
    with short_transaction():
        held = Batch.objects.select_for_update().filter(pk=batch.pk, state="validating", runner=batch.runner)
        if not held.update(lease_until=datetime.now(UTC) + LEASE):
            return False
        statement, beginning = _insert()
        with connection.cursor() as cursor:
            cursor.executemany(statement, [(*row, *beginning) for row in rows])
    return True


def _begin(batch: Batch, total: int, faults: list[dict[str, object]], prices: Prices, unfit: str) -> None:
    """``unfit``: why it cannot be in the provider lane, which the operator wishes for."""
    now = datetime.now(UTC)
    open_ones = Batch.objects.filter(client_key_id=batch.client_key_id, ended_at=None).exclude(pk=batch.pk)
    waits = open_ones.aggregate(sum=Sum("queued") + Sum("running"))["sum"] or 0
    if not faults and waits + total > BACKLOG:
        sentence = (
            f"{waits} requests of this key wait in batches already, and at most {BACKLOG} may; create this batch when some have ended."
        )
        faults.append(_fault(None, "input_file_id", sentence, "backlog_full"))
    with short_transaction():
        mine = Batch.objects.select_for_update().filter(pk=batch.pk, state="validating", runner=batch.runner).first()
        if mine is None:
            return
        mine.lease_until, mine.runner = None, ""
        if unfit:
            mine.lane, mine.lane_note = GATEWAY, unfit[:300]
        if faults:
            mine.state, mine.faults, mine.ended_at, mine.cost_nusd = "failed", faults, now, 0
            if mine.webhook_url:
                mine.webhook_due_at = now
        else:
            mine.state, mine.total, mine.queued, mine.started_at = "in_progress", total, total, now
            mine.estimate_nusd, mine.worst_nusd = prices.expected, prices.worst
        mine.save()
        close(mine, now)
    if faults:
        _forget_lines(batch)


def _forget_lines(batch: Batch) -> None:
    while ids := list(BatchLine.objects.filter(batch=batch, batch__total=0).values_list("pk", flat=True)[:STEP]):
        BatchLine.objects.filter(pk__in=ids).delete()


def claim(runner: str, now: datetime) -> Batch | None:
    """A batch to read in that nobody reads."""
    for one in Batch.objects.filter(state="validating", ended_at=None).order_by("created_at"):
        if one.lease_until is not None and one.lease_until > now:
            continue
        mine = Batch.objects.filter(pk=one.pk, state="validating", runner=one.runner, lease_until=one.lease_until)
        if mine.update(runner=runner, lease_until=now + LEASE):
            one.runner, one.lease_until = runner, now + LEASE
            return one
    return None
