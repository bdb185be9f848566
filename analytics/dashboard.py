"""Home, put together: the checklist, what needs somebody, how it goes. The page draws it once; then its moving part asks for itself."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.contrib import admin
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from llm_gateway.core.keys import KeyState
from llm_gateway.core.roles import READS, READS_REPORTS
from llm_gateway.models import Attempt, DeploymentHealth, Provider, ProviderKey, Strategy
from llm_gateway.policies.standing import Lately
from llm_gateway.telemetry import lately

from .home import traffic
from .home.checklist import begun, steps
from .home.inbox import inbox
from .home.traffic import Kpi
from .measures import Measures

# How far back in the list of attempts a provider's last error is looked for.
ERRORS_IN = 400
# Several people look at home, each every ten seconds: its figures are worked out once for all who may see the same.
FRESH_S = 5
EVERY_S = 10
_TRAFFIC = "home-traffic"


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Unfold's dashboard callback. Shows each reader what their role may see elsewhere."""
    context.update(parts(request), title="Home", live_url=reverse("reports:home"), every=EVERY_S)
    return context


@require_safe
def live(request: HttpRequest) -> HttpResponse:
    """Home's moving part alone."""
    response = HttpResponse(render_to_string("admin/analytics/home.html", parts(request), request=request))
    response["Cache-Control"] = "no-store"
    return response


def parts(request: HttpRequest) -> dict[str, Any]:
    now = timezone.now()
    user = request.user
    reads, sees_keys = user.has_perm(READS_REPORTS), user.has_perm("llm_gateway.view_providerkey")
    found: dict[str, Any] = {"steps": steps(user), "begun": begun(), "items": inbox(user, now), "simulated": _simulated(), "at": now}
    kpis: list[Kpi] = []
    by_provider: dict[str, Measures] = {}
    if reads:
        figures = _traffic(now, jumps=user.has_perm(READS))
        kpis += figures["tiles"]
        found["charts"] = figures["charts"]
        by_provider = figures["by_provider"]
    if user.has_perm("llm_gateway.view_strategy"):
        kpis.append(_strategy())
    if sees_keys:
        kpis.append(_keys())
    if user.has_perm("llm_gateway.view_budget"):
        found["budgets"] = traffic.budgets(now)
    if user.has_perm("llm_gateway.view_provider"):
        found["providers"] = _providers(now, by_provider, keys=sees_keys)
    return found | {"kpis": kpis, "sees_keys": sees_keys, "sees_health": user.has_perm("llm_gateway.view_deploymenthealth")}


def _traffic(now: datetime, *, jumps: bool) -> dict[str, Any]:
    name = f"{_TRAFFIC}-{jumps}"
    known = _kept.get(name)
    if known is not None and cache.get(name) == known[0]:
        return known[1]
    day = traffic.last_day(now)
    found = {"tiles": traffic.tiles(day, now), "charts": traffic.charts(day, now, jumps=jumps), "by_provider": day.by_provider}
    mark = now.timestamp()
    _kept[name] = mark, found
    cache.set(name, mark, FRESH_S)
    return found


# Values stay in this process; the cache says only whether they are fresh.
_kept: dict[str, tuple[float, dict[str, Any]]] = {}


def _simulated() -> bool:
    return Provider.objects.filter(enabled=True, simulated=True).exists()


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


def _providers(now: datetime, cells: dict[str, Measures], *, keys: bool) -> list[dict[str, Any]]:
    rows = list(Provider.objects.filter(enabled=True).prefetch_related("keys"))
    now_of = lately.by_provider(lately.by_model())
    resting: dict[int, int] = {}
    for provider_id in DeploymentHealth.objects.values_list("provider_key__provider_id", flat=True):
        resting[provider_id] = resting.get(provider_id, 0) + 1
    errors = _last_errors(now - timedelta(hours=24))
    found = []
    for row in rows:
        cell = cells.get(row.slug, Measures())
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
                "p50": traffic.ms(cell.latency_at(0.5)),
                "cost": traffic.cost_of(cell),
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
        if attempt["outcome"] == "failed" and attempt["started_at"] >= since:
            found.setdefault(attempt["provider_id"], {**attempt})
    return found


live_view = admin.site.admin_view(live)
