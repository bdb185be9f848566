"""The console's look: titles, colours, sidebar. Read by django-unfold; what it calls is named by
its path, so nothing is imported."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse_lazy

from llm_gateway.core.roles import READS_REPORTS, SPENDS

_PLAYGROUND = "admin:playground"
_EXPLAIN = "admin:llm_gateway_strategy_explain"


def _may(permission: str) -> Any:
    return lambda request: request.user.has_perm(permission)


def _page(title: str, icon: str, model: str, app: str = "llm_gateway") -> dict[str, Any]:
    return {
        "title": title,
        "icon": icon,
        "link": reverse_lazy(f"admin:{app}_{model}_changelist"),
        "permission": _may(f"{app}.view_{model}"),
    }


def _among_keys(request: Any) -> bool:
    path: str = request.path
    return path.startswith(str(_page("", "", "clientkey")["link"])) and path != str(reverse_lazy(_PLAYGROUND))


def _among_providers(request: Any) -> bool:
    """The page that connects one has the same beginning and an entry of its own."""
    path: str = request.path
    return path.startswith(str(_page("", "", "provider")["link"])) and path != str(reverse_lazy("admin:llm_gateway_provider_connect"))


def _among_strategies(request: Any) -> bool:
    """The page that explains has the same beginning and an entry of its own."""
    path: str = request.path
    return path.startswith(str(_page("", "", "strategy")["link"])) and path != str(reverse_lazy(_EXPLAIN))


UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "COGO LLM Gateway",
    "SITE_HEADER": "COGO",
    "SITE_SUBHEADER": "LLM Gateway",
    "SITE_SYMBOL": "hub",
    "SITE_URL": None,
    "SHOW_VIEW_ON_SITE": False,
    "ACCOUNT": {"navigation": "cogo.unfold.own_pages"},
    "LOGIN": {"form": "llm_gateway.api.sign_in.SignInForm"},
    "ENVIRONMENT": "llm_gateway.admin._simulated.label",
    "DASHBOARD_CALLBACK": "analytics.dashboard.dashboard",
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": lambda request: static("llm_gateway/favicon.svg")}],
    "STYLES": [lambda request: static("llm_gateway/admin.css")],
    "SCRIPTS": [lambda request: static("llm_gateway/console.js")],
    "BORDER_RADIUS": "6px",
    "COLORS": {
        "primary": {
            "50": "oklch(97.7% .013 236.62)",
            "100": "oklch(95.1% .026 236.824)",
            "200": "oklch(90.1% .058 230.902)",
            "300": "oklch(82.8% .111 230.318)",
            "400": "oklch(74.6% .16 232.661)",
            "500": "oklch(68.5% .169 237.323)",
            "600": "oklch(54.6% .16 248)",
            "700": "oklch(50% .134 242.749)",
            "800": "oklch(44.3% .11 240.79)",
            "900": "oklch(39.1% .09 240.876)",
            "950": "oklch(29.3% .066 243.157)",
        },
    },
    "SIDEBAR": {
        "show_search": True,
        "command_search": False,
        "show_all_applications": False,
        "navigation": "cogo.unfold.navigation",
        "groups": [  # ours, not unfold's: what `navigation` begins with
            {"items": [{"title": "Home", "icon": "space_dashboard", "link": reverse_lazy("admin:index")}]},
            {
                "title": "Traffic",
                "items": [
                    _page("Requests", "receipt_long", "requestlog"),
                    _page("Batches", "dynamic_feed", "batch"),
                    _page("Deployment health", "ecg_heart", "deploymenthealth"),
                    {"title": "Playground", "icon": "chat", "link": reverse_lazy(_PLAYGROUND), "permission": _may(SPENDS)},
                ],
            },
            {
                "title": "Alerts",
                "items": [
                    {**_page("Alerts", "notifications", "alert"), "badge": "llm_gateway.admin.alerts.unseen"},
                    _page("Alert rules", "rule", "alertrule"),
                    _page("Alert destinations", "outgoing_mail", "alertdestination"),
                ],
            },
            {
                "title": "Routing",
                "items": [
                    {**_page("Strategies", "alt_route", "strategy"), "active": _among_strategies},
                    _page("Policy versions", "difference", "policyversion"),
                    _page("Experiments", "science", "experiment"),
                    {
                        "title": "Explain a request",
                        "icon": "conversion_path",
                        "link": reverse_lazy(_EXPLAIN),
                        "permission": _may("llm_gateway.view_strategy"),
                    },
                    _page("Models", "neurology", "languagemodel"),
                    _page("Aliases", "label", "alias"),
                    _page("Cache rules", "cached", "cacherule"),
                    _page("Quality rules", "verified", "qualityrule"),
                    _page("Judge rules", "gavel", "judgerule"),
                ],
            },
            {
                "title": "Providers",
                "items": [
                    {
                        "title": "Connect a provider",
                        "icon": "add_link",
                        "link": reverse_lazy("admin:llm_gateway_provider_connect"),
                        "permission": _may("llm_gateway.add_provider"),
                    },
                    {**_page("Providers", "cloud", "provider"), "active": _among_providers},
                    _page("Provider keys", "vpn_key", "providerkey"),
                    _page("Key checks", "fact_check", "keycheck"),
                ],
            },
            {
                "title": "Access",
                "items": [_page("Teams", "groups", "team"), {**_page("Client keys", "key_vertical", "clientkey"), "active": _among_keys}],
            },
            {
                "title": "Money",
                "items": [
                    _page("Budgets", "savings", "budget"),
                    _page("Prices", "sell", "price"),
                    _page("Ledger", "menu_book", "ledgerentry"),
                    _page("Closed months", "task", "statement"),
                ],
            },
            {"title": "Reports", "items": []},
            {
                "title": "System",
                "collapsible": True,
                "separator": True,
                "items": [
                    _page("Switch history", "history", "strategyactivation"),
                    _page("Heartbeats", "monitor_heart", "heartbeat"),
                    _page("Audits", "fact_check", "auditrun"),
                    _page("Scheduled jobs", "schedule", "schedule", "django_q"),
                    _page("Finished jobs", "task_alt", "success", "django_q"),
                    _page("Failed jobs", "error", "failure", "django_q"),
                    _page("Queue", "stacks", "ormq", "django_q"),
                    _page("Audit trail", "policy", "auditentry"),
                    _page("Users", "person", "user", "auth"),
                    _page("Invitations", "person_add", "invitation"),
                    _page("Roles", "shield_person", "group", "auth"),
                ],
            },
        ],
    },
}


def own_pages(request: HttpRequest) -> list[dict[str, Any]]:
    """What everybody finds under their name."""
    found = [{"title": "Second factor", "link": reverse_lazy("second-factor")}]
    if request.user.is_authenticated and request.user.has_usable_password():
        found.insert(0, {"title": "Change password", "link": reverse_lazy("admin:password_change")})
    return found


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """The sidebar: its groups, with an entry for every registered report."""
    from analytics.reports import reports

    entries = [
        {
            "title": report.title,
            "icon": report.icon,
            "link": reverse_lazy("reports:report", args=[name]),
            "permission": _may(READS_REPORTS),
        }
        for name, report in sorted(reports.items(), key=lambda one: (one[1].position, one[1].title))
    ]
    groups: list[dict[str, Any]] = UNFOLD["SIDEBAR"]["groups"]
    return [{**group, "items": entries} if group.get("title") == "Reports" else group for group in groups]
