"""What needs somebody now. Each source is a function that a permission opens; whoever cannot act on a thing is not told of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import msgspec
from django.conf import settings
from django.db.migrations.recorder import MigrationRecorder
from django.db.models import Exists, Max, OuterRef
from django.urls import reverse
from django_q.models import Failure

from analytics.models import DailyRollup
from llm_gateway.core.keys import KeyState
from llm_gateway.models import Alert, AliasTarget, AuditRun, Budget, Heartbeat, LanguageModel, Price, Provider, ProviderKey
from llm_gateway.policies.standing import Standing
from llm_gateway.telemetry import lately, processes

# The task cluster reports under this name every minute (llm_gateway.tasks).
CLUSTER = "tasks"
SILENT = timedelta(minutes=5)
DAY = timedelta(days=1)
# A model is in use that was asked for in so many days.
IN_USE = timedelta(days=7)
# Of one kind; the rest is a number.
MOST = 5


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """``tone``: bad before warn. ``url``: where it is dealt with."""

    tone: str
    title: str
    text: str = ""
    url: str = ""
    link: str = "Look"


def inbox(user: Any, now: datetime) -> list[Item]:
    found = [item for permission, source in SOURCES if user.has_perm(permission) for item in _few(list(source(now)))]
    return sorted(found, key=lambda item: item.tone != "bad")


def _few(items: list[Item]) -> Iterable[Item]:
    yield from items[:MOST]
    if more := items[MOST:]:
        yield msgspec.structs.replace(more[0], title=f"and {len(more):,} more of this kind", text="")


def _list(model: str, **query: Any) -> str:
    return f"{reverse(f'admin:llm_gateway_{model}_changelist')}{'?' if query else ''}{urlencode(query)}"


def _providers(now: datetime) -> Iterator[Item]:
    found = lately.by_provider(lately.by_model())
    failing = {pk: one for pk, one in found.items() if one.standing in (Standing.FAILING, Standing.UNSTEADY)}
    for pk, title in Provider.objects.filter(pk__in=failing).values_list("pk", "title"):
        one = failing[pk]
        tone, said = ("bad", "is failing now") if one.standing is Standing.FAILING else ("warn", "is unsteady")
        yield Item(
            tone=tone, title=f"{title} {said}", text=one.words, url=_list("requestlog", provider__id__exact=pk, when="15m"), link="Requests"
        )


def _keys(now: datetime) -> Iterator[Item]:
    states = (KeyState.VALID, KeyState.UNCHECKED)
    rows = ProviderKey.objects.filter(enabled=True, provider__enabled=True).exclude(state__in=states).select_related("provider")
    for row in rows.order_by("pk"):
        tone = "warn" if KeyState(row.state).routable else "bad"
        url = reverse("admin:llm_gateway_providerkey_change", args=[row.pk])
        yield Item(tone=tone, title=f"The key {row} is {row.get_state_display()}", text=row.reason, url=url, link="Open the key")


def _budgets(now: datetime) -> Iterator[Item]:
    from llm_gateway.admin._refusing import refusals_since, until

    budgets: Any = Budget.objects.annotate(**refusals_since(now))  # with columns named at run time
    for row in budgets.filter(refused_lately__gt=0).order_by("-refused_lately"):
        count = row.refused_lately
        times = "once" if count == 1 else f"{count:,} times"
        text = f"{times} in the last 15 minutes, {until(row, row.refused_with or '')}."
        url = _list("requestlog", budget=row.pk, when="15m")
        yield Item(tone="bad", title=f"The budget “{row.name}” refuses requests", text=text, url=url, link="Who was refused")


def _retired(now: datetime) -> Iterator[Item]:
    dead = AliasTarget.objects.filter(alias__enabled=True, model__lifecycle="retired", model__successor=None).select_related(
        "alias", "model"
    )
    for row in dead.order_by("alias__name"):
        url = reverse("admin:llm_gateway_alias_change", args=[row.alias_id])
        yield Item(
            tone="warn", title=f"The alias {row.alias.name} leads to a retired model", text=row.model.name, url=url, link="Open the alias"
        )
    used = set(DailyRollup.objects.filter(day__gte=(now - IN_USE).date()).order_by().values_list("model", flat=True).distinct())
    soon = LanguageModel.objects.filter(name__in=used).exclude(lifecycle="active").select_related("successor").order_by("name")
    for model in soon:
        when = f" on {model.retires_on:%Y-%m-%d}" if model.retires_on else ""
        after = f" Its successor is {model.successor.name}." if model.successor else " It has no successor."
        tone = "bad" if model.lifecycle == "retired" else "warn"
        title = f"{model.name} is in use and {'was retired' if model.lifecycle == 'retired' else 'will be retired'}{when}"
        url = reverse("admin:llm_gateway_languagemodel_change", args=[model.pk])
        yield Item(tone=tone, title=title, text=f"It was asked in the last 7 days.{after}", url=url, link="Open the model")


def _unpriced(now: datetime) -> Iterator[Item]:
    """Of providers that have a key: the others cannot be asked anyway."""
    rows = LanguageModel.objects.filter(
        ~Exists(Price.objects.filter(model=OuterRef("pk"))),
        Exists(ProviderKey.objects.filter(provider=OuterRef("provider"), enabled=True)),
        enabled=True,
        provider__enabled=True,
    ).exclude(lifecycle="retired")
    for pk, name in rows.order_by("name").values_list("pk", "name"):
        url = f"{reverse('admin:llm_gateway_price_add')}?model={pk}"
        yield Item(tone="warn", title=f"{name} has no price", text="Requests for it are refused.", url=url, link="Add a price")


def _cluster(now: datetime) -> Iterator[Item]:
    beat = Heartbeat.objects.filter(name=CLUSTER).first()
    # A gateway that was set up a moment ago has a cluster that is about to be heard of.
    since = beat.at if beat else MigrationRecorder.Migration.objects.aggregate(last=Max("applied"))["last"]
    if since is None or since < now - SILENT:
        said = f"It was last heard of at {beat.at:%Y-%m-%d %H:%M} UTC." if beat else "It has not been heard of yet."
        text = f"{said} Keys are not checked and reports read the log directly until it runs again; requests are answered all the same."
        yield Item(tone="warn", title="The task cluster is silent.", text=text, url=_list("heartbeat"), link="Heartbeats")
    board = processes.read(processes.folder(settings.VAR_DIR))
    if board is not None and board.troubles:
        reasons = [f"{process.name}: {process.reason}" for process in board.processes if process.reason and process.state != processes.UP]
        text = ". ".join((*board.troubles, *reasons)) + ". Requests are answered all the same, as long as one web worker runs."
        yield Item(tone="bad", title="A process of the gateway is in trouble.", text=text)


def _audits(now: datetime) -> Iterator[Item]:
    """What the newest audit of each kind found."""
    for kind in AuditRun.Kind.values:
        run = AuditRun.objects.filter(kind=kind).order_by("-pk").first()
        if run is None or run.ok:
            continue
        broken = "; ".join(f"{one['title']}: {one['broken']} broken" for one in run.findings if one["broken"])
        text = f"{broken} (at {run.at:%Y-%m-%d %H:%M} UTC). docs/troubleshooting.md says what to do."
        yield Item(tone="bad", title="The audit found something.", text=text, url=_list("auditrun"), link="Audits")


def _jobs(now: datetime) -> Iterator[Item]:
    failed = Failure.objects.filter(stopped__gte=now - DAY).order_by("-stopped").values_list("name", "func")
    if names := list(failed[:100]):
        what = names[0][1].rpartition(".")[2] or names[0][0]
        title = f"{len(names):,} background {'job' if len(names) == 1 else 'jobs'} failed in 24 hours"
        yield Item(
            tone="warn", title=title, text=f"The last one: {what}.", url=reverse("admin:django_q_failure_changelist"), link="Failed jobs"
        )


def _alerts(now: datetime) -> Iterator[Item]:
    rows = Alert.objects.filter(created_at__gte=now - DAY).order_by("-pk")
    if count := rows.count():
        newest, stuck = rows[0], rows.exclude(error="").count()
        said = newest.text if newest.kind == Alert.Kind.EVENT else f"{newest.budget_name}, {newest.get_kind_display()}."
        text = f"The newest: {said}" + (f" {stuck:,} could not be delivered yet." if stuck else "")
        title = f"{count:,} {'alert' if count == 1 else 'alerts'} in 24 hours"
        yield Item(tone="bad" if stuck else "warn", title=title, text=text, url=_list("alert"), link="Alerts")


Source = Callable[[datetime], Iterator[Item]]
SOURCES: tuple[tuple[str, Source], ...] = (
    ("llm_gateway.view_provider", _providers),
    ("llm_gateway.view_budget", _budgets),
    ("llm_gateway.view_providerkey", _keys),
    ("llm_gateway.view_heartbeat", _cluster),
    ("llm_gateway.view_auditrun", _audits),
    ("django_q.view_failure", _jobs),
    ("llm_gateway.view_alert", _alerts),
    ("llm_gateway.view_alias", _retired),
    ("llm_gateway.view_price", _unpriced),
)
