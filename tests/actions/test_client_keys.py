from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from itertools import chain, combinations
from typing import Any

import pytest
from django.utils import timezone

from llm_gateway.actions import ActionError
from llm_gateway.actions.create_client_key import create_client_key, ensure_team, generate_client_key
from llm_gateway.actions.revoke_client_key import revoke_client_key
from llm_gateway.core.errors import PermissionDenied
from llm_gateway.core.keys import public_id_of
from llm_gateway.models import Alias, Budget, CatalogueVersion, ClientKey, LanguageModel, Provider, Strategy, Team
from llm_gateway.stores import vault

pytestmark = pytest.mark.django_db
SCOPES = ("generate", "analyze", "read", "manage")


def test_the_text_is_returned_once_and_only_its_digest_is_stored(team: Team) -> None:
    key, plain = create_client_key("ci", team)
    assert public_id_of(plain) == key.public_id
    stored = ClientKey.objects.get()
    assert bytes(stored.digest) == vault.digest(plain)
    assert plain not in repr(ClientKey.objects.values().get())
    assert stored.scopes == ["generate", "analyze", "read"]


def test_a_preset_key_is_taken_as_it_is_and_twice_is_once(team: Team) -> None:
    plain = generate_client_key()
    first, text = create_client_key("ci", team, preset=plain)
    again, _ = create_client_key("other name", team, preset=plain)
    assert (text, again.pk, ClientKey.objects.count()) == (plain, first.pk, 1)


@pytest.mark.parametrize("preset", ["short", "x" * 40, "cogo_000000000000_" + "a" * 43 + "_000000"])
def test_a_preset_without_our_form_says_how_to_make_one(team: Team, preset: str) -> None:
    with pytest.raises(ActionError, match="--generate-only"):
        create_client_key("ci", team, preset=preset)


def test_a_budget_is_made_with_the_key(team: Team) -> None:
    key, _ = create_client_key("ci", team, budget_usd=Decimal("12.5"), period="week")
    budget = Budget.objects.get(client_key=key)
    assert (budget.limit_nusd, budget.period, budget.hard) == (12_500_000_000, "week", True)


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": " "},
        {"name": "x" * 101},
        {"scopes": ["root"]},
        {"scopes": []},
        {"models": ["no-such-model"]},
        {"strategy": "no-such-strategy"},
        {"budget_usd": Decimal(0)},
        {"budget_usd": Decimal("NaN")},
        {"budget_usd": Decimal("-1")},
        {"budget_usd": Decimal("1e12")},
        {"budget_usd": Decimal(1), "period": "year"},
        {"expires_at": timezone.now() - timedelta(days=1)},
    ],
)
def test_a_wrong_wish_is_refused_and_nothing_is_stored(team: Team, wrong: dict[str, Any]) -> None:
    with pytest.raises(ActionError):
        create_client_key(**{"name": "ci", "team": team, **wrong})
    assert not ClientKey.objects.exists()
    assert not Budget.objects.exists()


def test_a_name_is_used_once_per_team(team: Team) -> None:
    create_client_key("ci", team)
    with pytest.raises(ActionError, match="already has"):
        create_client_key("ci", team)
    create_client_key("ci", ensure_team("Green"))


def test_models_may_be_named_by_name_alias_or_pattern(team: Team, host: Provider) -> None:
    model = LanguageModel.objects.create(provider=host, name="m1", upstream_id="m1")
    LanguageModel.objects.create(provider=host, name="host/llama-*", upstream_id="llama-*")
    Alias.objects.create(name="family").targets.create(model=model)
    key, _ = create_client_key("ci", team, models=["m1", "family", "host/llama-3", "m1"])
    assert key.models_allowed == ["m1", "family", "host/llama-3"]


NAMES = [
    "m1", "host/id-1", "family", "host/llama-3", "llama-3", "*", "m*", "m?", "fam*", "host/*", "host/not-yet-*", "auto",
    "strategy:enterprise", "strategy:*",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_whatever_a_caller_may_write_a_list_may_hold(team: Team, host: Provider, name: str) -> None:
    model = LanguageModel.objects.create(provider=host, name="m1", upstream_id="id-1")
    LanguageModel.objects.create(provider=host, name="host/llama-*", upstream_id="llama-*")
    Alias.objects.create(name="family").targets.create(model=model)
    Strategy.objects.create(name="enterprise", kind="enterprise", settings={})
    assert create_client_key("ci", team, models=[name])[0].models_allowed == [name]


@pytest.mark.parametrize("name", ["m2", "host/id-2", "hosst/*", "n*", "host", "strategy:nope", "strategy:n*", "Auto"])
def test_what_nothing_is_meant_by_is_refused(team: Team, host: Provider, name: str) -> None:
    LanguageModel.objects.create(provider=host, name="m1", upstream_id="id-1")
    with pytest.raises(ActionError, match="There is no model or alias named"):
        create_client_key("ci", team, models=[name])


def test_a_key_hands_down_what_its_patterns_cover(team: Team, host: Provider) -> None:
    for number in (1, 2):
        LanguageModel.objects.create(provider=host, name=f"m{number}", upstream_id=f"id-{number}")
    creator, _ = create_client_key("boss", team, SCOPES, ["host/*"])
    for number, fine in enumerate((["m1"], ["host/id-2"], ["host/*"], ["host/id-*"])):
        create_client_key(f"new {number}", team, ["read"], fine, creator=creator)
    for wish in (["*"], ["m*"], ["auto"]):
        with pytest.raises(PermissionDenied):
            create_client_key("more", team, ["read"], wish, creator=creator)


def subsets() -> list[tuple[str, ...]]:
    return list(chain.from_iterable(combinations(SCOPES, n) for n in range(1, 5)))


@pytest.mark.parametrize("held", subsets())
def test_a_key_never_makes_a_key_that_may_more(team: Team, held: tuple[str, ...]) -> None:
    creator, _ = create_client_key("creator", team, held)
    for number, wanted in enumerate(subsets()):
        before = ClientKey.objects.count()
        if "manage" in held and set(wanted) <= set(held):
            create_client_key(f"new {number}", team, wanted, creator=creator)
            assert ClientKey.objects.count() == before + 1
        else:
            with pytest.raises(PermissionDenied):
                create_client_key(f"new {number}", team, wanted, creator=creator)
            assert ClientKey.objects.count() == before


class TestAKeyThatMakesKeys:
    @pytest.fixture
    def creator(self, team: Team, host: Provider) -> ClientKey:
        for name in ("m1", "m2"):
            LanguageModel.objects.create(provider=host, name=name, upstream_id=name)
        later = timezone.now() + timedelta(days=7)
        return create_client_key(
            "boss", team, SCOPES, ["m1"], budget_usd=Decimal(10), max_tokens=1000, requests_per_minute=60, expires_at=later
        )[0]

    def test_hands_down_its_own_bounds(self, team: Team, creator: ClientKey) -> None:
        key, _ = create_client_key("new", team, ["read"], budget_usd=Decimal(5), creator=creator)
        assert (key.models_allowed, key.max_tokens, key.requests_per_minute) == (["m1"], 1000, 60)
        assert key.expires_at == creator.expires_at

    @pytest.mark.parametrize(
        "wish",
        [
            {"models": ["m2"]},
            {"budget_usd": Decimal(11)},
            {"budget_usd": None},
            {"period": "day"},
            {"max_tokens": 1001},
            {"requests_per_minute": 61},
            {"expires_at": timezone.now() + timedelta(days=8)},
            {"allow_unpriced": True},
        ],
    )
    def test_cannot_loosen_one_of_them(self, team: Team, creator: ClientKey, wish: dict[str, Any]) -> None:
        with pytest.raises(PermissionDenied):
            create_client_key("new", team, ["read"], **{"budget_usd": Decimal(5), **wish}, creator=creator)
        assert ClientKey.objects.count() == 1

    def test_cannot_make_one_for_another_team_or_once_revoked(self, team: Team, creator: ClientKey) -> None:
        with pytest.raises(PermissionDenied):
            create_client_key("new", ensure_team("Green"), ["read"], budget_usd=Decimal(5), creator=creator)
        revoke_client_key(creator)
        with pytest.raises(PermissionDenied):
            create_client_key("new", team, ["read"], budget_usd=Decimal(5), creator=creator)


def test_a_revoked_key_is_news_and_is_revoked_once(team: Team) -> None:
    key, _ = create_client_key("ci", team)
    version = CatalogueVersion.current()
    assert revoke_client_key(key)
    moment = ClientKey.objects.get().revoked_at
    assert CatalogueVersion.current() > version
    assert not revoke_client_key(key)
    assert ClientKey.objects.get().revoked_at == moment


def test_a_team_is_found_by_name_or_slug_and_made_where_it_is_missing(team: Team) -> None:
    assert ensure_team("Blue") == ensure_team("blue") == team
    assert ensure_team("Data Science").slug == "data-science"
    with pytest.raises(ActionError):
        ensure_team("!!!")
