"""The page that asks what a request would do now: a form, and the engine's own explanation of it."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from django import forms
from django.utils import timezone
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from llm_gateway.core.catalog import Identity, Scope, Snapshot
from llm_gateway.core.chat import ChatRequest
from llm_gateway.core.errors import StoreUnavailable
from llm_gateway.core.money import format_usd
from llm_gateway.engine.calls import Call, inbound_of
from llm_gateway.engine.explain import Considered, Explanation, explain, with_refusal
from llm_gateway.engine.health import DeploymentHealth
from llm_gateway.models import ClientKey, Strategy
from llm_gateway.policies.hold import CHARS_PER_TOKEN
from llm_gateway.stores import health as health_store
from llm_gateway.stores.catalog import load_snapshot
from llm_gateway.stores.holds import Foreseen, foresee
from llm_gateway.wiring import gateway

from ._decision import text
from ._show import words

NEEDS = ("tools", "images", "documents", "audio", "json_schema", "reasoning")


class ExplainForm(forms.Form):
    """A request as far as routing looks at it."""

    model = forms.CharField(
        required=False, max_length=200, initial="auto", widget=UnfoldAdminTextInputWidget,
        help_text="A name, an alias, PROVIDER/ID, strategy:NAME; empty or auto: the strategy in force.",
    )  # fmt: skip
    strategy = forms.ChoiceField(required=False, widget=UnfoldAdminSelectWidget, help_text="As the request itself would name one.")
    client_key = forms.ChoiceField(required=False, widget=UnfoldAdminSelectWidget, help_text="Whose models, budgets and strategy count.")
    prompt_tokens = forms.IntegerField(min_value=0, max_value=10_000_000, initial=2_000, widget=UnfoldAdminIntegerFieldWidget)
    max_tokens = forms.IntegerField(required=False, min_value=1, max_value=1_000_000, initial=1_000, widget=UnfoldAdminIntegerFieldWidget)
    task_type = forms.CharField(required=False, max_length=60, widget=UnfoldAdminTextInputWidget)
    language = forms.CharField(required=False, max_length=60, widget=UnfoldAdminTextInputWidget)
    needs = forms.MultipleChoiceField(
        required=False, choices=[(name, words(name)) for name in NEEDS], widget=forms.CheckboxSelectMultiple,
        help_text="What the model must be able to do.",
    )  # fmt: skip
    stream = forms.BooleanField(required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        names = Strategy.objects.order_by("name").values_list("name", "title")
        keys = ClientKey.objects.filter(revoked_at=None).select_related("team").order_by("team__name", "name")[:500]
        self.fields["strategy"] = _choice(self.fields["strategy"], [("", "as the key or the gateway says"), *names])
        found = [(key.public_id, f"{key.team.name}: {key.name}") for key in keys]
        self.fields["client_key"] = _choice(self.fields["client_key"], [("", "nobody in particular"), *found])


def page(query: Mapping[str, Any]) -> dict[str, Any]:
    """The template's context."""
    form = ExplainForm(query or None)
    context: dict[str, Any] = {"form": form, "found": None}
    if query and form.is_valid():
        found, budgets = _explained(form.cleaned_data)
        context |= {
            "found": found,
            "refusal": found.error,
            "hold": format_usd(found.hold_nusd),
            "settings": text(found.settings),
            "lines": [_line(line) for line in found.considered],
            "budgets": [_budget(budget) for budget in budgets],
        }
    return context


def _explained(asked: Mapping[str, Any]) -> tuple[Explanation, Sequence[Foreseen]]:
    try:
        running = gateway()
    except StoreUnavailable:
        # No gateway in this process: the rows alone, with the rests that workers shared.
        now = timezone.now()
        snapshot, health = load_snapshot(), DeploymentHealth()
        health.restore(health_store.resting(now))
        found = explain(_call(asked, snapshot), snapshot, health, now, random.random())  # noqa: S311  # spreads load
        budgets = foresee(found.budgets, found.hold_nusd, now)
        return with_refusal(found, next((budget.refusal for budget in budgets if budget.refusal is not None), None)), budgets
    return running.from_thread(running.explain(_call(asked, running.catalog.snapshot())))


def _call(asked: Mapping[str, Any], snapshot: Snapshot) -> Call:
    known = snapshot.clients.get(asked["client_key"])
    identity = known[1] if known else _anyone(snapshot)
    chat = ChatRequest(model=asked["model"].strip(), messages=(), max_tokens=asked["max_tokens"], stream=asked["stream"])
    return Call(
        id=UUID(int=0),
        kind="generate",
        identity=identity,
        inbound=inbound_of(chat, size=asked["prompt_tokens"] * CHARS_PER_TOKEN, needs=frozenset(asked["needs"])),
        stream=asked["stream"],
        strategy=asked["strategy"] or None,
        task_type=asked["task_type"] or None,
        language=asked["language"] or None,
    )


def _anyone(snapshot: Snapshot) -> Identity:
    return Identity(
        client_key_id=None, public_id="", name="", team_id=0, team="", scopes=frozenset({Scope.GENERATE}), budgets=snapshot.gateway_budgets
    )


def _line(line: Considered) -> dict[str, Any]:
    target = line.target
    return {
        "place": line.place,
        "model": target.model.name,
        "provider": target.provider.title,
        "key": target.credential.name,
        "cost": "unknown" if line.estimate_nusd is None else format_usd(line.estimate_nusd),
        "why": line.why or text(line.score),
    }


def _budget(budget: Foreseen) -> dict[str, Any]:
    return {
        "id": budget.id,
        "name": budget.name,
        "period": budget.period,
        "limit": format_usd(budget.limit_nusd),
        "spent": format_usd(budget.spent_nusd),
        "held": format_usd(budget.held_nusd),
        "refusal": budget.refusal.message if budget.refusal else "",
        "hard": budget.hard,
    }


def _choice(field: forms.Field, choices: Sequence[tuple[str, str]]) -> forms.ChoiceField:
    return forms.ChoiceField(required=False, choices=choices, widget=UnfoldAdminSelectWidget, help_text=field.help_text)
