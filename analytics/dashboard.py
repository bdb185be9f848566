"""The first page of the console: is it working, what does it cost, what should be done next."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.migrations.recorder import MigrationRecorder
from django.db.models import Max
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from llm_gateway.core.keys import KeyState
from llm_gateway.core.roles import READS_REPORTS
from llm_gateway.models import (
    Attempt,
    AuditRun,
    ClientKey,
    DeploymentHealth,
    Heartbeat,
    Provider,
    ProviderKey,
    RequestLog,
    Strategy,
)
from llm_gateway.policies.standing import Lately
from llm_gateway.telemetry import lately, processes

from . import queries
from .charts import rendered
from .measures import Measures
from .reports import Asked
from .reports._money import money
from .reports.cost import daily_cost

DAYS = 30
# The task cluster reports under this name every minute (llm_gateway.tasks).
CLUSTER = "tasks"
SILENT = timedelta(minutes=5)
# How far back in the list of attempts a provider's last error is looked for.
ERRORS_IN = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Kpi:
    label: str
    value: str
    note: str = ""
    tone: str = ""
    url: str = ""
    small: bool = False


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Unfold's dashboard callback. Shows each reader what their role may see elsewhere."""
    now = timezone.now()
    user = request.user
    reads = user.has_perm(READS_REPORTS)
    parts: dict[str, Any] = {"steps": _steps(user), "banners": _banners(user, now), "busy": RequestLog.objects.exists()}
    kpis: list[Kpi] = []
    if reads:
        kpis += _traffic(now)
        asked = _last_days(now)
        parts["chart"] = rendered(daily_cost(asked))
    if user.has_perm("llm_gateway.view_strategy"):
        kpis.append(_strategy())
    if user.has_perm("llm_gateway.view_providerkey"):
        kpis.append(_keys())
    if user.has_perm("llm_gateway.view_provider"):
        parts["providers"] = _providers(now, keys=user.has_perm("llm_gateway.view_providerkey"), traffic=reads)
    parts |= {"kpis": kpis, "title": "Dashboard", "sees_keys": user.has_perm("llm_gateway.view_providerkey")}
    parts["sees_health"] = user.has_perm("llm_gateway.view_deploymenthealth")

    context.update(parts)
    return context


def _last_days(now: datetime) -> Asked:
    end = queries.today(now) + timedelta(days=1)
    return Asked(start=end - timedelta(days=DAYS), end=end, now=now, group_by=("day", "provider"))


def _traffic(now: datetime) -> list[Kpi]:
    midnight = queries.today(now)
    last = queries.totals(_day_ago(now), now, times=True)
    today = queries.totals(midnight, now)
    month = queries.totals(midnight.replace(day=1), now)
    rate = last.success_rate
    requests = reverse("admin:llm_gateway_requestlog_changelist")
    cost, speed = reverse("reports:report", args=["cost"]), reverse("reports:report", args=["performance"])
    return [
        Kpi(label="Requests, 24 h", value=f"{last.requests:,}", note=_aside(last), url=f"{requests}?when=24h"),
        Kpi(
            label="Success rate, 24 h",
            value="—" if rate is None else f"{rate:.2%}",
            note=f"{last.answered - last.ok:,} of {last.answered:,} not answered in full" if rate is not None else "no requests yet",
            tone="" if rate is None or rate >= 0.99 else "warn" if rate >= 0.95 else "bad",
            url=speed,
        ),
        Kpi(label="Cost today", value=_money(today), note=_unknown(today) or "since midnight UTC", url=f"{cost}?range=7"),
        Kpi(label="Cost this month", value=_money(month), note=_unknown(month) or f"{now:%B}", url=f"{cost}?range=month"),
        Kpi(label="Tokens, 24 h", value=_short(last.tokens), note=f"{_short(last.output_tokens)} of them written"),
        Kpi(
            label="Latency p50 / p95, 24 h",
            value=f"{_ms(last.latency_at(0.5))} / {_ms(last.latency_at(0.95))}",
            note=f"first token {_ms(last.ttft_at(0.5))}" if last.ttft_count else "of answered requests",
            url=speed,
            small=True,
        ),
    ]


def _day_ago(now: datetime) -> datetime:
    """On the hour, so that the rollups have all of it."""
    return queries.floor_hour(now) - timedelta(hours=23)


def _strategy() -> Kpi:
    active = Strategy.objects.filter(active=True).first()
    url = reverse("admin:llm_gateway_strategy_changelist")
    if active is None:
        return Kpi(label="Strategy", value="none in force", note="choose one", tone="warn", url=url, small=True)
    since = active.activations.order_by("-pk").values_list("at", flat=True).first()
    return Kpi(label="Strategy", value=active.title, note=f"since {since:%Y-%m-%d %H:%M}" if since else "in force", url=url, small=True)


def _keys() -> Kpi:
    states = list(ProviderKey.objects.filter(enabled=True, provider__enabled=True).values_list("state", flat=True))
    valid = sum(state == KeyState.VALID for state in states)
    url = reverse("admin:llm_gateway_providerkey_changelist")
    if not states:
        return Kpi(label="Provider keys", value="none", note="add one to begin", tone="warn", url=url, small=True)
    text, tone = ("all valid", "good") if valid == len(states) else ("degraded", "warn") if valid else ("none valid", "bad")
    return Kpi(label="Provider keys", value=text, note=f"{valid} of {len(states)} valid", tone=tone, url=url, small=True)


def _providers(now: datetime, *, keys: bool, traffic: bool) -> list[dict[str, Any]]:
    rows = list(Provider.objects.filter(enabled=True).prefetch_related("keys"))
    cells = queries.spend(("provider",), _day_ago(now), now, times=True) if traffic else {}
    now_of = lately.by_provider(lately.by_model())
    resting: dict[int, int] = {}
    for provider_id in DeploymentHealth.objects.values_list("provider_key__provider_id", flat=True):
        resting[provider_id] = resting.get(provider_id, 0) + 1
    errors = _last_errors(now - timedelta(hours=24))
    found = []
    for row in rows:
        cell = cells.get((row.slug,), Measures())
        state, tone = _key_state([k for k in row.keys.all() if k.enabled])
        found.append(
            {
                "row": row,
                "state": state if keys else "",
                "tone": tone,
                "resting": resting.get(row.pk, 0),
                "now": now_of.get(row.pk, Lately()),
                "requests": cell.requests,
                "success": cell.success_rate,
                "p50": _ms(cell.latency_at(0.5)),
                "cost": _money(cell),
                "error": errors.get(row.pk),
            }
        )
    return found


def _key_state(keys: list[ProviderKey]) -> tuple[str, str]:
    if not keys:
        return "no key", "warn"
    if any(key.state == KeyState.VALID for key in keys):
        return "valid", "good"
    if all(key.state == KeyState.UNCHECKED for key in keys):
        return "unchecked", "quiet"
    worst = next(key for key in keys if key.state != KeyState.UNCHECKED)
    return worst.get_state_display(), "warn" if KeyState(worst.state).routable else "bad"


def _last_errors(since: datetime) -> dict[int, dict[str, Any]]:
    """The newest failure of each provider among the latest attempts."""
    found: dict[int, dict[str, Any]] = {}
    latest = Attempt.objects.order_by("-pk").values("provider_id", "outcome", "error_class", "detail", "started_at", "request_id")[
        :ERRORS_IN
    ]
    for attempt in latest:
        if attempt["outcome"] == "failed" and attempt["provider_id"] is not None and attempt["started_at"] >= since:
            found.setdefault(attempt["provider_id"], attempt)
    return found


def _banners(user: Any, now: datetime) -> list[dict[str, str]]:
    banners = []
    if Provider.objects.filter(enabled=True, simulated=True).exists():
        text = "Simulated: answers are not from real models"
        banners.append(
            {"tone": "info", "icon": "science", "title": text, "text": "Simulated providers are switched on. Costs are made up, too."}
        )
    beat = Heartbeat.objects.filter(name=CLUSTER).first()
    # A gateway that was set up a moment ago has a cluster that is about to be heard of.
    since = beat.at if beat else MigrationRecorder.Migration.objects.aggregate(last=Max("applied"))["last"]
    if (since is None or since < now - SILENT) and user.has_perm("llm_gateway.view_heartbeat"):
        said = f"It was last heard of at {beat.at:%Y-%m-%d %H:%M} UTC." if beat else "It has not been heard of yet."
        text = f"{said} Keys are not checked and reports read the log directly until it runs again; requests are answered all the same."
        banners.append({"tone": "warn", "icon": "warning", "title": "The task cluster is silent.", "text": text})
    if user.has_perm("llm_gateway.view_auditrun"):
        banners += _audits()
    board = processes.read(processes.folder(settings.VAR_DIR))
    if board is not None and board.troubles and user.has_perm("llm_gateway.view_heartbeat"):
        reasons = [f"{process.name}: {process.reason}" for process in board.processes if process.reason and process.state != processes.UP]
        text = ". ".join((*board.troubles, *reasons)) + ". Requests are answered all the same, as long as one web worker runs."
        banners.append({"tone": "bad", "icon": "error", "title": "A process of the gateway is in trouble.", "text": text})
    return banners


def _audits() -> list[dict[str, str]]:
    """What the newest audit of each kind found."""
    found = []
    for kind in AuditRun.Kind.values:
        run = AuditRun.objects.filter(kind=kind).order_by("-pk").first()
        if run is None or run.ok:
            continue
        broken = "; ".join(f"{one['title']}: {one['broken']} broken" for one in run.findings if one["broken"])
        text = f"{broken} (at {run.at:%Y-%m-%d %H:%M} UTC). Audits lists the rows; docs/troubleshooting.md says what to do."
        found.append({"tone": "bad", "icon": "gpp_bad", "title": "The audit found something.", "text": text})
    return found


def _steps(user: Any) -> list[dict[str, Any]]:
    """What to do next, while anything of it is not done. Empty for whoever cannot do it and once all is done."""
    if not user.has_perm("llm_gateway.add_providerkey"):
        return []
    keys = ProviderKey.objects.filter(enabled=True, provider__enabled=True)
    steps = [
        (
            "Add a provider key",
            "Paste the key of a service you buy from; it is checked at once.",
            reverse("admin:llm_gateway_providerkey_add"),
            keys.exists(),
        ),
        (
            "Create a client key",
            "Programs call the gateway with it. It is shown once.",
            reverse("admin:llm_gateway_clientkey_add"),
            ClientKey.objects.exists(),
        ),
        (
            "Send a request",
            "Any OpenAI, Anthropic or Gemini SDK pointed here will do.",
            reverse("native-docs"),
            RequestLog.objects.exists(),
        ),
    ]
    if all(done for *_, done in steps):
        return []
    return [{"title": title, "text": text, "url": url, "done": done} for title, text, url, done in steps]


def _aside(cell: Measures) -> str:
    parts = [(cell.rejected, "refused"), (cell.cancelled, "cancelled"), (cell.orphaned, "orphaned")]
    return ", ".join(f"{count:,} {word}" for count, word in parts if count) or f"{cell.attempts:,} attempts upstream"


def _money(cell: Measures) -> str:
    cost = cell.total_nusd
    return "unknown" if cost is None else money(cost)


def _unknown(cell: Measures) -> str:
    count = cell.unknown_cost_requests
    return f"and {count:,} {'request' if count == 1 else 'requests'} of unknown cost" if count else ""


def _ms(value: float | None) -> str:
    return "—" if value is None else f"{value:,.0f} ms" if value < 10_000 else f"{value / 1000:,.1f} s"


def _short(number: int) -> str:
    for size, unit in ((1_000_000_000, "B"), (1_000_000, "M"), (10_000, "k")):
        if number >= size:
            return f"{number / (1000 if unit == 'k' else size):,.1f}{unit}"
    return f"{number:,}"
