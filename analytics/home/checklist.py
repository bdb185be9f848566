"""The way from an empty gateway to a team that uses it. Each step ticks itself when what it is about is there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib.auth.models import User
from django.urls import NoReverseMatch, reverse

from llm_gateway.models import Budget, ClientKey, ProviderKey, RequestLog, Team

# The model on this machine needs no key, so its row proves nothing.
LOCAL = "local"


class Step:
    """``done`` is asked only of who may do it."""

    def __init__(self, title: str, text: str, permission: str, url: Callable[[], str], done: Callable[[], bool]) -> None:
        self.title, self.text, self.permission, self.url, self.done = title, text, permission, url, done


def steps(user: Any) -> list[dict[str, Any]]:
    """What this user can set up, in order; empty once all of it is done."""
    mine = [step for step in STEPS if user.has_perm(step.permission)]
    found = [{"title": step.title, "text": step.text, "url": step.url(), "done": step.done()} for step in mine]
    return [] if all(step["done"] for step in found) else found


def begun() -> bool:
    """Whether the gateway answers already: what is left to set up is then no longer the first thing to say."""
    return _key() and _first_call()


def _key() -> bool:
    return ProviderKey.objects.filter(enabled=True, provider__enabled=True).exclude(provider__slug=LOCAL).exists()


def _first_call() -> bool:
    """An answer that arrived, whoever gave it."""
    newest = RequestLog.objects.order_by("-pk").values_list("state", flat=True)[:200]
    return "ok" in newest or RequestLog.objects.filter(state="ok").order_by().exists()


def _client_key() -> bool:
    """Set-up makes the first one; a program or a person needs one of its own."""
    return ClientKey.objects.filter(revoked_at=None, created_by__isnull=False).exists()


def _alert_address() -> bool:
    if settings.COGO["alert_email"] or settings.COGO["alert_webhook_url"] or Team.objects.exclude(alert_email="").exists():
        return True
    rows = _destinations()
    return rows is not None and rows._default_manager.exists()


def _destinations() -> Any:
    """Where alerts go may be rows of their own."""
    try:
        return apps.get_model("llm_gateway", "AlertDestination")
    except LookupError:
        return None


def _page(*names: str) -> Callable[[], str]:
    """The first of these pages that there is."""

    def url() -> str:
        for name in names[:-1]:
            try:
                return reverse(name)
            except NoReverseMatch:
                continue
        return reverse(names[-1])

    return url


STEPS = (
    Step(
        "Add a provider key",
        "Paste the key of a service you buy from; it is checked at once.",
        "llm_gateway.add_providerkey",
        _page("admin:llm_gateway_provider_connect", "admin:llm_gateway_providerkey_add"),
        _key,
    ),
    Step(
        "Make the first call",
        "From the playground, or with any OpenAI, Anthropic or Gemini SDK pointed here.",
        "llm_gateway.spend_from_browser",
        _page("admin:playground", "native-docs"),
        _first_call,
    ),
    Step(
        "Create a client key",
        "One for each program or person, so that you see who spends what. It is shown once.",
        "llm_gateway.add_clientkey",
        _page("admin:llm_gateway_clientkey_add"),
        _client_key,
    ),
    Step(
        "Set a budget",
        "A hard budget refuses what would pass it, to the cent.",
        "llm_gateway.add_budget",
        _page("admin:llm_gateway_budget_add"),
        Budget.objects.exists,
    ),
    Step(
        "Say where alerts go",
        "Somebody has to hear of a budget that is used up.",
        "llm_gateway.change_team",
        _page("admin:llm_gateway_alertdestination_add", "admin:llm_gateway_team_changelist"),
        _alert_address,
    ),
    Step(
        "Invite a colleague",
        "With a role that says what they see.",
        "llm_gateway.add_invitation",
        _page("admin:llm_gateway_invitation_add"),
        lambda: User.objects.filter(is_staff=True, is_active=True).count() > 1,
    ),
)
