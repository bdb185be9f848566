"""Who may do what: the table of reliability.md A14, asked over HTTP."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from django.urls import reverse

from llm_gateway.admin.groups import ensure_groups
from llm_gateway.models import ClientKey, LanguageModel, Price, Provider, ProviderKey, Strategy
from tests.analytics import factories

from .conftest import signed_in
from .forms import fields_of, post
from .test_pages import MODELS, fill, name

pytestmark = pytest.mark.django_db

# l: list and detail, a: add, c: change, d: delete. What is not named is closed.
EXPECTED = {
    "viewer": {
        "llm_gateway.Provider": "l", "llm_gateway.ProviderKey": "l", "llm_gateway.LanguageModel": "l", "llm_gateway.Alias": "l",
        "llm_gateway.Price": "l", "llm_gateway.Strategy": "l", "llm_gateway.StrategyActivation": "l", "llm_gateway.Team": "l",
        "llm_gateway.ClientKey": "l", "llm_gateway.RequestLog": "l", "llm_gateway.KeyCheck": "l", "llm_gateway.DeploymentHealth": "l",
        "llm_gateway.PolicyVersion": "l", "llm_gateway.Experiment": "l",
        "llm_gateway.Heartbeat": "l", "llm_gateway.AuditRun": "l", "llm_gateway.CacheRule": "l", "llm_gateway.CachedAnswer": "l",
        "llm_gateway.Batch": "l",
        "llm_gateway.QualityRule": "l", "llm_gateway.JudgeRule": "l",
    },
    "operator": {
        "llm_gateway.Provider": "lacd", "llm_gateway.ProviderKey": "lacd", "llm_gateway.LanguageModel": "lacd", "llm_gateway.Alias": "lacd",
        "llm_gateway.Price": "l", "llm_gateway.Strategy": "lacd", "llm_gateway.StrategyActivation": "l", "llm_gateway.Team": "lac",
        "llm_gateway.ClientKey": "lac", "llm_gateway.RequestLog": "l", "llm_gateway.KeyCheck": "l", "llm_gateway.DeploymentHealth": "lc",
        "llm_gateway.PolicyVersion": "l", "llm_gateway.Experiment": "la",
        "llm_gateway.Heartbeat": "l", "llm_gateway.AuditRun": "l", "llm_gateway.CacheRule": "lacd", "llm_gateway.CachedAnswer": "l",
        "llm_gateway.Budget": "l", "llm_gateway.Alert": "lc", "llm_gateway.AlertRule": "lacd", "llm_gateway.AlertDestination": "lacd",
        "llm_gateway.QualityRule": "lacd", "llm_gateway.JudgeRule": "lacd", "llm_gateway.Batch": "lc",
        "django_q.Schedule": "l", "django_q.Success": "l", "django_q.Failure": "l", "django_q.OrmQ": "l",
    },
    "finance": {
        "llm_gateway.Provider": "l", "llm_gateway.LanguageModel": "l", "llm_gateway.Price": "lad", "llm_gateway.Budget": "lacd",
        "llm_gateway.LedgerEntry": "l", "llm_gateway.Team": "l", "llm_gateway.RequestLog": "l", "llm_gateway.Alert": "lc",
        "llm_gateway.Statement": "l", "llm_gateway.AuditRun": "l", "llm_gateway.AlertRule": "l", "llm_gateway.AlertDestination": "l",
    },
    "auditor": {
        "llm_gateway.Provider": "l", "llm_gateway.ProviderKey": "l", "llm_gateway.LanguageModel": "l", "llm_gateway.Alias": "l",
        "llm_gateway.Price": "l", "llm_gateway.Strategy": "l", "llm_gateway.StrategyActivation": "l", "llm_gateway.Team": "l",
        "llm_gateway.ClientKey": "l", "llm_gateway.RequestLog": "l", "llm_gateway.KeyCheck": "l", "llm_gateway.DeploymentHealth": "l",
        "llm_gateway.Heartbeat": "l", "llm_gateway.Budget": "l", "llm_gateway.LedgerEntry": "l", "llm_gateway.Alert": "l",
        "llm_gateway.AlertRule": "l", "llm_gateway.AlertDestination": "l",
        "llm_gateway.PolicyVersion": "l", "llm_gateway.Experiment": "l",
        "llm_gateway.Statement": "l", "llm_gateway.AuditEntry": "l", "llm_gateway.AuditRun": "l", "llm_gateway.CacheRule": "l",
        "llm_gateway.CachedAnswer": "l", "llm_gateway.Invitation": "l", "auth.User": "l", "auth.Group": "l",
        "llm_gateway.Batch": "l",
        "django_q.Schedule": "l", "django_q.Success": "l", "django_q.Failure": "l", "django_q.OrmQ": "l",
        "llm_gateway.QualityRule": "l", "llm_gateway.JudgeRule": "l",
    },
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("role", EXPECTED)
def test_a_role_opens_exactly_its_pages(role: str) -> None:
    fill()
    # The one in force cannot be deleted by anybody; a price that billed nothing can.
    rows = {Strategy: Strategy.objects.filter(active=False).first(), Price: Price.objects.get(model__name="claude-3.5-sonnet")}
    client = signed_in(role)
    found = {}
    for model in MODELS:
        row = rows.get(model) or model._default_manager.first()
        assert row is not None
        letters = ""
        detail = client.get(name(model, "change", row.pk))
        assert (client.get(name(model, "changelist")).status_code == 200) == (detail.status_code == 200)
        letters += "l" if detail.status_code == 200 else ""
        letters += "a" if client.get(name(model, "add")).status_code == 200 else ""
        letters += "c" if "_save" in detail.content.decode() else ""
        letters += "d" if client.get(name(model, "delete", row.pk)).status_code == 200 else ""
        if letters:
            found[model._meta.label] = letters
    expected = dict(EXPECTED[role])
    for label in ("llm_gateway.DeploymentHealth", "llm_gateway.Alert", "llm_gateway.Batch"):
        if "c" in expected.get(label, ""):  # nothing on its page is a field: it is cleared, cancelled, or marked as read, by a button
            expected[label] = found[label]
            assert "l" in found[label]
    assert found == expected


def test_roles_are_written_again_by_a_migration_run() -> None:
    viewer = Group.objects.get(name="viewer")
    count = viewer.permissions.count()
    viewer.permissions.clear()
    ensure_groups()
    assert viewer.permissions.count() == count > 0
    assert not viewer.permissions.exclude(codename__startswith="view_").exists()
    assert not Group.objects.get(name="auditor").permissions.exclude(codename__startswith="view_").exists()
    assert not Group.objects.filter(permissions__codename="view_requestbody").exists()


def test_a_viewer_cannot_press_the_buttons(checks: list[object]) -> None:
    found = factories.catalogue()
    key = factories.client_key()
    viewer = signed_in("viewer")
    for address, pk in (
        ("providerkey_check", found["keys"]["openai"].pk),
        ("clientkey_revoke", key.pk),
        ("strategy_switch", Strategy.objects.get(name="ab-testing").pk),
    ):
        assert viewer.post(reverse(f"admin:llm_gateway_{address}", args=[pk])).status_code == 403
    assert checks == []
    assert ClientKey.objects.get().revoked_at is None
    assert Strategy.objects.get(active=True).name == "enterprise"


def test_buttons_change_nothing_by_a_link(boss: Client, checks: list[object]) -> None:
    found = factories.catalogue()
    assert boss.get(reverse("admin:llm_gateway_providerkey_check", args=[found["keys"]["openai"].pk])).status_code == 405
    assert boss.get(reverse("admin:llm_gateway_clientkey_revoke", args=[factories.client_key().pk])).status_code == 405
    boss.get(reverse("admin:llm_gateway_strategy_switch", args=[Strategy.objects.get(name="ab-testing").pk]))
    assert Strategy.objects.get(active=True).name == "enterprise"
    assert checks == []


def test_buttons_need_the_csrf_token() -> None:
    found = factories.catalogue()
    client = Client(enforce_csrf_checks=True)
    client.force_login(User.objects.create_superuser("root"))
    assert client.post(reverse("admin:llm_gateway_providerkey_check", args=[found["keys"]["openai"].pk])).status_code == 403


def test_forged_fields_are_ignored() -> None:
    found = factories.catalogue()
    operator = signed_in("operator")
    key: ProviderKey = found["keys"]["gemini"]
    url = reverse("admin:llm_gateway_providerkey_change", args=[key.pk])
    answer = post(
        operator, url, state="valid", ciphertext="v1.x.y", hint="forged", provider=Provider.objects.get(slug="openai").pk, weight="7"
    )
    assert answer.status_code == 302
    key.refresh_from_db()
    assert (key.weight, key.state, key.hint, key.ciphertext, key.provider.slug) == (7, "invalid", "…wxyz", "", "gemini")
    client_key = factories.client_key()
    url = reverse("admin:llm_gateway_clientkey_change", args=[client_key.pk])
    post(operator, url, public_id="forged", digest="forged", revoked_at="2020-01-01", created_by="1", name="renamed")
    again = ClientKey.objects.get()
    assert (again.name, again.public_id, bytes(again.digest)) == ("renamed", client_key.public_id, client_key.digest)
    strategy = Strategy.objects.get(name="ab-testing")
    post(
        operator, reverse("admin:llm_gateway_strategy_change", args=[strategy.pk]), active="on", kind="enterprise", name="x", title="A or B"
    )
    strategy.refresh_from_db()
    assert (strategy.title, strategy.active, strategy.kind, strategy.name) == ("A or B", False, "ab-testing", "ab-testing")


def test_an_operator_cannot_smuggle_a_price_through_the_model_page() -> None:
    factories.catalogue()
    operator = signed_in("operator")
    row = LanguageModel.objects.get(name="kimi-k3")
    url = reverse("admin:llm_gateway_languagemodel_change", args=[row.pk])
    price = row.prices.get()
    forged = {"prices-TOTAL_FORMS": "1", "prices-INITIAL_FORMS": "1", "prices-0-id": price.pk, "prices-0-input": "0", "title": "K3"}
    assert post(operator, url, **forged).status_code == 302
    row.refresh_from_db()
    price.refresh_from_db()
    assert (row.title, row.edited, f"{price.input.normalize():f}") == ("K3", True, "0.6")


def test_a_price_is_never_edited(boss: Client) -> None:
    factories.catalogue()
    price = Price.objects.first()
    assert price is not None
    url = reverse("admin:llm_gateway_price_change", args=[price.pk])
    assert "input" not in fields_of(boss.get(url).content.decode())
    assert boss.post(url, {"input": "0"}).status_code == 403


def test_a_price_that_billed_something_cannot_be_deleted(boss: Client) -> None:
    found = factories.catalogue()
    row = found["models"]["kimi-k3"]
    price = row.prices.get()
    url = reverse("admin:llm_gateway_price_delete", args=[price.pk])
    assert boss.get(url).status_code == 200
    factories.request(factories.NOON, factories.client_key(), row, price_id=price.pk)
    assert boss.get(url).status_code == 403
