"""Every role at every door: each operation of each page, each route of the API. What a role may not do changes nothing, however it asks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.core import serializers
from django.db.models import Model
from django.test import Client
from django.urls import reverse

from llm_gateway.core.roles import ROLES
from llm_gateway.models import AuditEntry, Budget, ClientKey, ProviderKey, RequestLog, Strategy, Team
from tests.analytics import factories

from . import roles_page
from .conftest import signed_in
from .forms import fields_of, post
from .test_pages import MODELS, fill, name
from .test_roles import EXPECTED

pytestmark = pytest.mark.django_db

# What only Django's own bookkeeping writes when somebody is refused or looks at something.
OWN = {"llm_gateway.auditentry", "sessions.session", "admin.logentry"}
EXTRA = (
    ("providerkey_check", ProviderKey), ("clientkey_revoke", ClientKey), ("strategy_switch", Strategy), ("requestlog_texts", RequestLog),
)  # fmt: skip


def state() -> str:
    """All rows of all nouns of the console, as text."""
    rows = [row for model in MODELS if model._meta.label_lower not in OWN for row in model._base_manager.order_by("pk")]
    return serializers.serialize("json", rows)


def letters(role: str, model: type[Model]) -> str:
    return EXPECTED[role].get(model._meta.label, "")


@pytest.mark.slow
@pytest.mark.weekly
@pytest.mark.timeout(900)
@pytest.mark.parametrize("role", EXPECTED)
def test_what_a_role_may_not_do_changes_nothing(role: str) -> None:
    fill()
    client = signed_in(role)
    before = state()
    for model in MODELS:
        row = model._default_manager.first()
        assert row is not None
        may = letters(role, model)
        tries: list[tuple[str, bool, Callable[[], Any]]] = [
            ("list", "l" in may, lambda m=model: client.get(name(m, "changelist"))),
            ("detail", "l" in may, lambda m=model, r=row: client.get(name(m, "change", r.pk))),
            ("history", "l" in may, lambda m=model, r=row: client.get(name(m, "history", r.pk))),
            ("raw key", "l" in may, lambda m=model, r=row: client.get(f"{name(m, 'changelist')}{r.pk}/", follow=True)),
            ("pop-up", "a" in may, lambda m=model: client.get(f"{name(m, 'add')}?_popup=1")),
            ("add form", "a" in may, lambda m=model: client.get(name(m, "add"))),
            ("delete page", "d" in may, lambda m=model, r=row: client.get(name(m, "delete", r.pk))),
        ]
        for what, allowed, ask in tries:
            if what == "delete page" and allowed:
                continue  # depends on the row: test_roles has it
            assert (ask().status_code == 200) == allowed, (model._meta.label, what)
        writes = {
            "a": lambda m=model: client.post(name(m, "add"), {"name": "forged", "_save": "1"}),
            "c": lambda m=model, r=row: client.post(name(m, "change", r.pk), {"name": "forged", "title": "forged", "_save": "1"}),
            "d": lambda m=model, r=row: client.post(name(m, "delete", r.pk), {"post": "yes"}),
        }
        for letter, write in writes.items():
            if letter not in may:
                assert write().status_code in (302, 403), (model._meta.label, letter)
        page = admin.site._registry[model]
        if "c" not in may and page.list_editable:
            sent = {"form-TOTAL_FORMS": "1", "form-INITIAL_FORMS": "1", "form-0-id": str(row.pk), "_save": "1"}
            client.post(name(model, "changelist"), sent | {f"form-0-{field}": "7" for field in page.list_editable})
        for action in ("delete_selected", *(str(one) for one in page.actions or ())):
            if "d" not in may and "c" not in may:
                sent = {"action": action, "_selected_action": [str(row.pk)], "post": "yes"}
                client.post(name(model, "changelist"), sent)
    assert state() == before


@pytest.mark.slow
@pytest.mark.parametrize("role", EXPECTED)
def test_a_role_presses_only_its_buttons(role: str) -> None:
    fill()
    client = signed_in(role)
    for address, model in EXTRA:
        row = Strategy.objects.get(name="ab-testing") if model is Strategy else model._default_manager.first()
        answer = client.post(reverse(f"admin:llm_gateway_{address}", args=[row.pk]))
        allowed = "c" in letters(role, model) and address != "requestlog_texts"
        assert (answer.status_code == 302) == allowed, (address, answer.status_code)
    assert client.get(reverse("admin:llm_gateway_auditentry_export")).status_code == (200 if role == "auditor" else 403)
    for report in ("cost", "performance", "savings", "forecast", "cache"):
        for form in ("", "?format=csv", "?format=xlsx"):
            assert client.get(f"/admin/reports/{report}/{form}").status_code == 200


@pytest.mark.parametrize("role", EXPECTED)
@pytest.mark.parametrize(("model", "field"), [("aliastarget", "model"), ("price", "model"), ("languagemodel", "successor")])
def test_select_boxes_search_only_what_a_role_sees(role: str, model: str, field: str) -> None:
    factories.catalogue()
    query = {"app_label": "llm_gateway", "model_name": model, "field_name": field, "term": "kimi"}
    assert signed_in(role).get(reverse("admin:autocomplete"), query).status_code == 200, "every role sees models"


def test_whom_a_group_lets_change_accounts_is_refused_all_the_same() -> None:
    """A group that somebody made may hold any permission; it makes no superusers."""
    from django.contrib.auth.models import Permission

    group = Group.objects.create(name="people")
    group.permissions.set(Permission.objects.filter(content_type__app_label="auth"))
    client = signed_in("people")
    me = User.objects.get(username="people")
    for url in (name(User, "change", me.pk), name(User, "add"), name(Group, "change", group.pk)):
        assert client.post(url, {"username": "people", "is_superuser": "on", "is_staff": "on", "name": "x"}).status_code == 403
    me.refresh_from_db()
    assert not me.is_superuser


@pytest.mark.parametrize("role", EXPECTED)
def test_nobody_but_staff_and_their_roles_comes_in(role: str) -> None:
    user = User.objects.create_user("outside", is_staff=False)
    user.groups.add(Group.objects.get(name=role))
    client = Client()
    client.force_login(user)
    assert client.get("/admin/").status_code == 302
    user.is_staff, user.is_active = True, False
    user.save()
    assert client.get("/admin/").status_code == 302


class TestClientKeys:
    """Nobody puts into a key what they do not have."""

    URL = "/admin/llm_gateway/clientkey/add/"

    def _form(self, **more: Any) -> dict[str, Any]:
        return {"name": "k", "team": factories.team().pk, "scopes": ["generate"], **more}

    def test_an_operator_gives_no_unpriced_models_without_a_budget(self) -> None:
        operator = signed_in("operator")
        answer = post(operator, self.URL, **self._form(allow_unpriced="on"))
        assert answer.status_code == 200
        assert "needs a hard budget" in answer.content.decode()
        assert not ClientKey.objects.exists()

    @pytest.mark.parametrize(("hard", "enabled", "made"), [(True, True, True), (False, True, False), (True, False, False)])
    def test_a_hard_budget_of_the_team_will_do(self, hard: bool, enabled: bool, made: bool) -> None:
        Budget.objects.create(name="b", team=factories.team(), limit_nusd=10**9, hard=hard, enabled=enabled)
        post(signed_in("operator"), self.URL, **self._form(allow_unpriced="on"))
        assert ClientKey.objects.exists() == made

    def test_nor_afterwards(self) -> None:
        key = factories.client_key()
        url = name(ClientKey, "change", key.pk)
        operator = signed_in("operator")
        assert post(operator, url, allow_unpriced="on").status_code == 200
        key.refresh_from_db()
        assert not key.allow_unpriced
        ClientKey.objects.update(allow_unpriced=True)
        assert post(operator, url, name="renamed").status_code == 302, "what others gave stays"

    @pytest.mark.parametrize("scope", ["generate", "analyze", "manage"])
    def test_whoever_only_makes_keys_makes_none_that_spend_or_switch(self, scope: str) -> None:
        from django.contrib.auth.models import Permission

        signed_in("viewer")
        maker = User.objects.get(username="viewer")
        maker.user_permissions.set(Permission.objects.filter(codename__in=["add_clientkey", "change_clientkey", "view_team"]))
        client = Client()
        client.force_login(maker)
        assert post(client, self.URL, **self._form(scopes=[scope])).status_code == 200
        assert not ClientKey.objects.exists()
        assert post(client, self.URL, **self._form(scopes=["read"])).status_code == 200
        key = ClientKey.objects.get()
        post(client, name(ClientKey, "change", key.pk), scopes=["read", scope])
        key.refresh_from_db()
        assert key.scopes == ["read"]

    def test_a_superuser_gives_anything(self, boss: Client) -> None:
        post(boss, self.URL, **self._form(allow_unpriced="on", scopes=["generate", "manage"]))
        assert ClientKey.objects.get().allow_unpriced


def test_the_page_of_roles_shows_the_table_that_is_in_force() -> None:
    assert roles_page.written() == roles_page.table(), "write it again: python -m tests.admin.roles_page"
    assert set(EXPECTED) == set(ROLES)


def test_groups_have_exactly_the_table_s_permissions() -> None:
    for role, table in ROLES.items():
        group = Group.objects.get(name=role)
        held = {f"{app}.{code}" for app, code in group.permissions.values_list("content_type__app_label", "codename")}
        assert held == table.permissions


def test_refusals_of_staff_are_in_the_trail() -> None:
    client = signed_in("viewer")
    client.get(name(Team, "add"))
    client.post(name(Team, "add"), {"name": "x"})
    entries = AuditEntry.objects.filter(action="refused").order_by("pk")
    assert [(e.actor, e.detail) for e in entries] == [("viewer", f"{method} {name(Team, 'add')}") for method in ("GET", "POST")]
    assert fields_of("") == {}


def test_what_is_taken_away_is_gone_with_the_next_click() -> None:
    """A session holds no right of its own: role, staff, account and password are asked each time."""
    page = "/admin/llm_gateway/provider/add/"
    for number, (take, status) in enumerate(
        (
            (lambda user: user.groups.clear(), 403),
            (lambda user: User.objects.filter(pk=user.pk).update(is_staff=False), 302),
            (lambda user: User.objects.filter(pk=user.pk).update(is_active=False), 302),
            (lambda user: (user.set_password("quite another one 7"), user.save()), 302),
        )
    ):
        user = User.objects.create_user(f"staff{number}", password="a first one 1", is_staff=True)
        user.groups.set(Group.objects.filter(name="operator"))
        client = Client()
        client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        assert client.get(page).status_code == 200
        take(user)
        assert client.get(page).status_code == status
