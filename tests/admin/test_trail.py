"""The audit trail: who, when, what, before and after; from every face, without secrets, longer than any account."""

from __future__ import annotations

import csv
import io
import json
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, User
from django.core.management import call_command
from django.db import DatabaseError, connection, transaction
from django.test import Client
from django.utils import timezone

from llm_gateway.actions.trim_history import trim_history
from llm_gateway.models import AuditEntry, Budget, ClientKey, LanguageModel, Provider, ProviderKey, RequestBody, Team
from tests.analytics import factories

from .conftest import signed_in
from .forms import post
from .test_pages import name

pytestmark = pytest.mark.django_db
LIST = "/admin/llm_gateway/auditentry/"
CANARY = "canary" + "0" * 20 + "x"


def entries(**more: Any) -> list[AuditEntry]:
    return list(AuditEntry.objects.filter(**more).order_by("pk"))


def last(**more: Any) -> AuditEntry:
    found = AuditEntry.objects.filter(**more).first()
    assert found is not None, more
    return found


def test_a_change_in_the_console_says_before_and_after(boss: Client) -> None:
    budget = Budget.objects.create(name="b", team=factories.team(), limit_nusd=10**9)
    assert post(boss, name(Budget, "change", budget.pk), limit_usd="2", hard="").status_code == 302
    entry = last(noun="llm_gateway.budget", action="changed")
    assert (entry.actor, entry.via, entry.object_id, entry.address) == ("boss", "console", str(budget.pk), "127.0.0.1")
    assert entry.changes["limit_nusd"] == [10**9, 2 * 10**9]
    assert entry.request_id


def test_what_is_added_and_deleted_keeps_its_values(boss: Client) -> None:
    post(boss, name(Team, "add"), name="Blue", slug="blue")
    assert last(action="added", noun="llm_gateway.team").changes["name"] == [None, "Blue"]
    team = Team.objects.get(slug="blue")
    boss.post(name(Team, "delete", team.pk), {"post": "yes"})
    entry = last(action="deleted")
    assert (entry.object_name, entry.changes["slug"]) == ("Blue", ["blue", None])


def test_rows_edited_in_their_list_and_related_rows_are_named(boss: Client) -> None:
    found = factories.catalogue()
    provider: Provider = found["providers"]["openai"] if "providers" in found else Provider.objects.get(slug="openai")
    post(boss, name(Provider, "change", provider.pk), priority="77")
    assert last(action="changed", noun="llm_gateway.provider").changes["priority"][1] == 77
    model = LanguageModel.objects.get(name="kimi-k3")
    other = LanguageModel.objects.exclude(pk=model.pk).first()
    assert other is not None
    post(boss, name(LanguageModel, "change", model.pk), successor=str(other.pk))
    assert str(other) in last(action="changed", noun="llm_gateway.languagemodel").changes["successor"][1]


def test_no_secret_is_in_it(boss: Client) -> None:
    """A pasted key, a client key, a password: every place where one could slip in."""
    found = factories.catalogue()
    key: ProviderKey = found["keys"]["gemini"]
    post(boss, name(ProviderKey, "change", key.pk), new_key=CANARY)
    page = post(boss, name(ClientKey, "add"), name="k", team=factories.team().pk, scopes=["generate"]).content.decode()
    secret = page.partition("cogo_")[2][:60]
    user = User.objects.get(username="boss")
    boss.post(f"/admin/auth/user/{user.pk}/password/", {"password1": CANARY, "password2": CANARY, "usable_password": "true"})
    Client().post("/admin/login/", {"username": CANARY and "sk-" + "a1" * 20, "password": CANARY})
    dump = json.dumps([[str(v) for v in row] for row in AuditEntry.objects.values_list()])
    dump += str(list(LogEntry.objects.values_list("object_repr", "change_message")))
    assert CANARY not in dump
    assert secret.split("_")[1] not in dump
    assert "a1a1a1" not in dump
    assert last(noun="llm_gateway.providerkey", action="changed").changes["ciphertext"][1] == "(secret)"
    assert last(noun="auth.user", action="changed").changes["password"] == ["(secret)", "(secret)"]


def test_a_password_in_the_wrong_box_is_not_kept() -> None:
    Client().post("/admin/login/", {"username": CANARY, "password": "ann"})
    assert last(action="sign-in failed").object_name == "no account"
    assert CANARY not in json.dumps([[str(v) for v in row] for row in AuditEntry.objects.values_list()])


def test_sign_ins_failures_and_sign_outs_are_recorded() -> None:
    User.objects.create_superuser("ann", password="a long enough one")
    browser = Client()
    browser.post("/admin/login/", {"username": "ann", "password": "wrong"})
    browser.post("/admin/login/", {"username": "ann", "password": "a long enough one"})
    browser.post("/admin/logout/")
    found = [(e.action, e.actor, e.object_name) for e in entries() if "sign" in e.action]
    assert found == [("sign-in failed", "", "ann"), ("signed in", "ann", "ann"), ("signed out", "ann", "ann")]
    assert all(e.address == "127.0.0.1" for e in entries() if "sign" in e.action)


def test_exports_and_looks_at_prompts_are_recorded(boss: Client) -> None:
    factories.catalogue()
    boss.get("/admin/reports/cost/?format=csv&range=7")
    assert last(action="exported").detail == "range=7"
    row = factories.request(timezone.now(), factories.client_key(), LanguageModel.objects.get(name="kimi-k3"))
    RequestBody.objects.create(request=row, created_at=timezone.now())
    for _ in range(3):
        boss.get(f"/admin/llm_gateway/requestlog/{row.pk}/texts/")
    assert len(entries(action="read texts", object_id=str(row.pk), actor="boss")) == 3


def test_the_history_of_an_object_counts_what_there_is_and_outlives_accounts(boss: Client) -> None:
    row = factories.request(timezone.now(), factories.client_key(), None)
    RequestBody.objects.create(request=row, created_at=timezone.now())
    for _ in range(114):
        boss.get(f"/admin/llm_gateway/requestlog/{row.pk}/texts/")
    url = name(type(row), "history", row.pk)
    page = boss.get(url).content.decode()
    assert "114 entries" in page
    assert page.count("read texts") == 100
    assert boss.get(f"{url}?p=2").content.decode().count("read texts") == 14
    for nonsense in ("0", "abc", "999999999999999999999"):
        assert boss.get(f"{url}?p={nonsense}").status_code == 200
    User.objects.get(username="boss").delete()
    page = signed_in("auditor").get(url).content.decode()
    assert "114 entries" in page
    assert "boss" in page


def test_select_boxes_of_big_tables_find_their_rows(boss: Client) -> None:
    """What pages through the big tables counts nothing; it is for their lists only."""
    from django.contrib import admin

    from llm_gateway.admin._keyset import KeysetAdmin, KeysetPaginator

    for model, page in admin.site._registry.items():
        if isinstance(page, KeysetAdmin):
            assert not issubclass(page.paginator, KeysetPaginator), model


def test_roles_and_rights_given_to_a_person_are_recorded(boss: Client) -> None:
    user = User.objects.create_user("new", is_staff=True)
    post(boss, name(User, "change", user.pk), groups=[str(Group.objects.get(name="operator").pk)], is_superuser="on")
    found = [e.changes for e in entries(noun="auth.user", action="changed", object_id=str(user.pk))]
    assert {"is_superuser": [False, True]} in found
    assert {"roles": [None, ["operator"]]} in found


def test_a_role_that_takes_a_person_in_is_recorded_at_the_person() -> None:
    """The same from the role's side, as a script at the terminal does it."""
    user, role = User.objects.create_user("new", is_staff=True), Group.objects.get(name="operator")
    role.user_set.add(user)
    role.user_set.remove(user)
    role.user_set.add(user)
    role.user_set.clear()
    found = [e.changes for e in entries(noun="auth.user", action="changed", object_id=str(user.pk))]
    assert found == 2 * [{"roles": [None, ["operator"]]}, {"roles": [["operator"], None]}]


def test_commands_are_recorded_with_who_ran_them() -> None:
    call_command("create_client_key", "from a script", "--team", "Blue", stdout=io.StringIO(), stderr=io.StringIO())
    entry = last(noun="llm_gateway.clientkey")
    assert (entry.action, entry.via, entry.object_name[:13]) == ("added", "command", "from a script")
    assert entry.actor.endswith("at the terminal")
    call_command("purge", "--days", "400", stdout=io.StringIO(), stderr=io.StringIO())
    assert (last().action, last().object_name) == ("ran", "purge")


def test_nobody_changes_or_deletes_an_entry(boss: Client) -> None:
    post(boss, name(Team, "add"), name="Blue", slug="blue")
    entry = last()
    for forbidden in (entry.save, entry.delete, AuditEntry.objects.all().delete, lambda: AuditEntry.objects.update(actor="x")):
        with pytest.raises(TypeError, match="append-only"):
            forbidden()
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("UPDATE llm_gateway_auditentry SET actor = 'x'")
    assert boss.post(name(AuditEntry, "change", entry.pk), {"actor": "x"}).status_code == 403
    assert boss.post(name(AuditEntry, "delete", entry.pk), {"post": "yes"}).status_code == 403
    assert boss.post(LIST, {"action": "delete_selected", "_selected_action": [entry.pk], "post": "yes"}).status_code in (200, 302, 403)
    assert AuditEntry.objects.filter(pk=entry.pk, actor="boss").exists()


def test_only_what_is_past_its_time_goes() -> None:
    old = AuditEntry.objects.create(via="system", action="did", at=timezone.now() - timedelta(days=1200))
    new = AuditEntry.objects.create(via="system", action="did")
    assert trim_history().audit_entries == 1
    assert not AuditEntry.objects.filter(pk=old.pk).exists()
    assert AuditEntry.objects.filter(pk=new.pk).exists()


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("action=refused", "refused"),
        ("q=ann", "ann"),
        ("noun=llm_gateway.team", "Blue"),
        ("via__exact=api", "client key x"),
        ("when=24h", "ann"),
    ],
)
def test_the_auditor_filters_and_exports_it(query: str, shown: str) -> None:
    from llm_gateway.models import trail

    auditor = signed_in("auditor")
    trail.record("refused", detail="POST /x", who=trail.Actor(name="ann", id=5, via="console"))
    trail.record("did", Team.objects.create(name="Blue", slug="blue"), detail="=cmd()", who=trail.Actor(name="bob", via="console"))
    trail.record("changed", who=trail.Actor(name="client key x", via="api"), name="Zürich")
    assert shown in auditor.get(f"{LIST}?{query}").content.decode()
    answer = auditor.get(f"{LIST}export/?{query}")
    assert answer.content.startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert any(shown in " ".join(row.values()) for row in rows)
    assert not any(value.startswith("=") for row in rows for value in row.values())
    assert last(action="exported").actor == "auditor"
    for role in ("viewer", "operator", "finance"):
        assert signed_in(role).get(LIST).status_code == 403


def test_a_client_key_that_switches_the_strategy_is_named() -> None:
    from llm_gateway.models import trail

    with trail.acting(trail.Actor(name="client key robot", via="api")):
        factories.team("Green").delete()
    assert (last(action="deleted").actor, last(action="deleted").via) == ("client key robot", "api")
