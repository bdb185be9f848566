"""What scores say of what was learnt, and what it saved: read an hour late, when the answers of then are scored."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from typing import Any

from django.db.models import F, Q

from llm_gateway.core.learning import Features, features
from llm_gateway.models import AnswerScore, LearnedDay, PolicyVersion, RequestLog
from llm_gateway.scorers import FORMULA
from llm_gateway.stores.contexts import ContextReader
from llm_gateway.stores.scores import JOB_LIVES
from llm_gateway.strategies import DRAWS, Choice, place, read_choice
from llm_gateway.strategies.learned import held_out

# An answer that was set aside for the score worker is scored by then or never.
SCORED = JOB_LIVES + timedelta(minutes=5)
FIRST = timedelta(days=7)
AT_ONCE = 20_000
BUCKETS = 32
# What a judge or a shadow asked is no caller's request.
TAUGHT_BY = Q(origin=None) | Q(origin__in=("live", "batch"))
_ENDED = ("ok", "partial", "failed")
_FIELDS = ("id", "created_at", "client_key__public_id", "stream", "choice", "state", "cost_nusd", "policy", "simulated")
_SUMS = ("requests", "ok", "priced", "cost_nusd", "scored", "score")
Cell = tuple[int, date, bool, int]


def measure(
    settings: Iterable[Mapping[str, Any]], since: datetime | None, now: datetime
) -> tuple[list[tuple[int, Features, float]], datetime]:
    """(model that stood first, what was known before, quality 0 to 1) of each answer that is scored by now, and up to when that is all.

    Empty where no strategy weighs quality: then nothing is taught. In any case what learning versions did is added to their days. To be
    called in the transaction that keeps the clock, so that a request counts once."""
    weighed = any(one.get("quality_weight") for one in settings)
    start, until = since or now - FIRST, now - SCORED
    if until <= start:
        return [], start
    shares = {
        number: float(one.get("holdout_share", 0.0))
        for number, one in PolicyVersion.objects.filter(kind="learned").values_list("number", "settings")
        if one.get("mode") in ("guarded", "active")
    }
    wanted = Q(simulated=False) | Q(policy__in=shares) if weighed else Q(policy__in=shares)
    rows = RequestLog.objects.filter(TAUGHT_BY, wanted, created_at__gte=start, created_at__lt=until, state__in=_ENDED).exclude(choice=None)
    values = list(rows.order_by("created_at").values_list(*_FIELDS)[:AT_ONCE])
    if len(values) == AT_ONCE:
        until = values[-1][1]
        values = [row for row in values if row[1] < until]
    taught: list[tuple[int, Features, float]] = []
    days: dict[Cell, list[int]] = defaultdict(lambda: [0] * len(_SUMS))
    reader = ContextReader()
    source = iter(values)
    while piece := list(islice(source, 1000)):
        scores = _scores([row[0] for row in piece])
        for pk, at, client, stream, text, state, cost, policy, simulated in piece:
            try:
                choice = read_choice(text)
            except ValueError:
                continue
            score = scores.get(pk)
            if policy in shares:
                _add(days, choice, shares[policy], (policy, at, client or "", stream), (state, cost, score))
            if weighed and not simulated and score is not None and (found := _lesson(reader, choice, at, client or "", stream)) is not None:
                taught.append((*found, score / 100))
    _keep(days)
    return taught, until


def _scores(ids: Sequence[Any]) -> dict[Any, int]:
    """Of answers whose code was looked at. Without one nothing is known, which is not 0."""
    rows = AnswerScore.objects.filter(request_id__in=ids, formula=FORMULA, coded=True, score__isnull=False)
    return {pk: score for pk, score in rows.values_list("request_id", "score") if score is not None}


def _lesson(reader: ContextReader, choice: Choice, at: datetime, client: str, stream: bool) -> tuple[int, Features] | None:
    listed = reader.candidates(choice.candidates)
    if listed is None or choice.first >= len(listed[0]):
        return None
    facts = choice.facts(at, client, stream)
    x = features(facts.prompt_tokens, facts.needs, facts.task_type, facts.language, facts.stream)
    return listed[0][choice.first][1], x


def _add(
    days: dict[Cell, list[int]],
    choice: Choice,
    share: float,
    row: tuple[int, datetime, str, bool],
    result: tuple[str, int | None, int | None],
) -> None:
    policy, at, client, stream = row
    state, cost, score = result
    facts = choice.facts(at, client, stream)
    held = held_out(facts, share, choice.draw / DRAWS)
    unit = facts.sticky or facts.affinity or f"draw:{choice.draw}"
    cell = days[(policy, at.astimezone(UTC).date(), held, int(place("bucket", unit) * BUCKETS))]
    for index, value in enumerate((1, state == "ok", cost is not None, cost or 0, score is not None, score or 0)):
        cell[index] += int(value)


def _keep(days: Mapping[Cell, Sequence[int]]) -> None:
    for (version, day, held, bucket), sums in days.items():
        row, _ = LearnedDay.objects.get_or_create(version=version, day=day, held=held, bucket=bucket)
        LearnedDay.objects.filter(pk=row.pk).update(**{name: F(name) + value for name, value in zip(_SUMS, sums, strict=True)})
