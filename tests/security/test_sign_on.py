"""Single sign-on against a provider that really runs, on loopback: the whole flow, what it gives
and takes, and every lie it could tell."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import jwt
import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

from llm_gateway.actions import _oidc
from llm_gateway.actions.invite import invite
from llm_gateway.core.secret import Secret
from llm_gateway.models import AuditEntry, ExternalIdentity, Invitation, OneTimePassword, SignInTries
from llm_gateway.policies.sign_on import SignOn
from tests.support.clock import Stopwatch
from tests.support.identity import ANN, CLIENT, Provider, signing_key

pytestmark = pytest.mark.django_db
ROLES = {"llm-operators": "operator", "llm-finance": "finance"}
PASSWORD = "a password of my own 7"


@pytest.fixture(autouse=True)
def forgotten() -> None:
    _oidc.forget()


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider() as running:
        yield running


def use(settings: Any, provider: Provider, **more: Any) -> None:
    given: dict[str, Any] = {"issuer": provider.issuer, "client_id": CLIENT, "client_secret": Secret(provider.secret), "roles": ROLES}
    settings.COGO = settings.COGO | {"sign_on": SignOn(**given | {"private": True, "domains": ("example.com",)} | more)}


@pytest.fixture(autouse=True)
def set_up(settings: Any, request: pytest.FixtureRequest) -> None:
    if "provider" in request.fixturenames:
        use(settings, request.getfixturevalue("provider"))


def sign_on(provider: Provider, browser: Client | None = None, onward: str = "") -> tuple[Client, Any]:
    """To the provider and back."""
    browser = browser or Client()
    sent = browser.get("/admin/sso/", {"next": onward} if onward else {})
    assert sent.status_code == 302, sent.content
    return browser, browser.get(provider.authorize(sent["Location"]))


def refusals() -> list[str]:
    return list(AuditEntry.objects.filter(action="sign-in failed").order_by("pk").values_list("detail", flat=True))


def roles(name: str = "ann@example.com") -> set[str]:
    return set(User.objects.get(username=name).groups.values_list("name", flat=True))


def test_a_person_of_the_provider_comes_in_with_the_role_of_their_group(provider: Provider) -> None:
    browser, answer = sign_on(provider, onward="/admin/llm_gateway/provider/?q=x")
    assert (answer.status_code, answer["Location"]) == (302, "/admin/llm_gateway/provider/?q=x")
    assert browser.get("/admin/llm_gateway/provider/add/").status_code == 200, "an operator"
    assert browser.get("/admin/auth/user/add/").status_code == 403
    ann = User.objects.get()
    assert (ann.username, ann.first_name, ann.is_superuser, ann.has_usable_password()) == ("ann@example.com", "Ann", False, False)
    assert 11 * 3600 < browser.session.get_expiry_age() <= 12 * 3600, "then the provider is asked again"
    (asked,) = provider.authorizations
    assert asked["code_challenge_method"] == "S256"
    assert len(asked["state"]) >= 43
    assert asked["redirect_uri"] == "http://testserver/admin/sso/back/"
    told = [(e.action, e.actor, e.detail) for e in AuditEntry.objects.order_by("pk")]
    assert ("signed in", "ann@example.com", "by single sign-on") in told
    assert {("added", "single sign-on", ""), ("changed", "single sign-on", "")} <= set(told)
    assert provider.secret not in str(list(AuditEntry.objects.values()))
    sign_on(provider, browser)
    assert ExternalIdentity.objects.count() == User.objects.count() == 1


def test_what_the_provider_gave_goes_with_the_claim_and_what_was_given_here_stays(provider: Provider) -> None:
    browser, _ = sign_on(provider)
    provider.person["groups"] = ["llm-finance", "unknown", 7, None]
    sign_on(provider)
    assert roles() == {"finance"}
    assert browser.get("/admin/llm_gateway/provider/add/").status_code == 403, "in the session that runs, too"
    User.objects.get().groups.add(Group.objects.get(name="auditor"))
    provider.person["groups"] = []
    _, answer = sign_on(provider)
    assert (answer.status_code, roles()) == (403, {"auditor"}), "whom the provider made staff"
    provider.person["groups"] = "llm-operators"
    sign_on(provider)
    assert roles() == {"auditor", "operator"}
    User.objects.update(is_superuser=False)
    User.objects.get().groups.remove(Group.objects.get(name="auditor"))
    del provider.person["groups"]
    _, answer = sign_on(provider)
    assert (answer.status_code, roles()) == (403, set())
    assert browser.get("/admin/").status_code == 302
    assert refusals()[-1] == "Single sign-on: No claim is worth a role."
    taken = AuditEntry.objects.filter(actor="single sign-on", action="changed", changes__has_key="roles").order_by("-pk")[0]
    assert taken.changes["roles"] == [["operator"], None]


def test_an_account_from_before_is_found_once_by_address_and_then_by_the_provider_s_id(provider: Provider) -> None:
    User.objects.create_user("ann", email="Ann@Example.com", is_staff=True).groups.add(Group.objects.get(name="finance"))
    OneTimePassword.objects.create(user=User.objects.get())
    browser, _ = sign_on(provider)
    assert browser.get("/admin/").status_code == 200, "nobody asks for a password that was not used"
    assert roles("ann") == {"finance", "operator"}
    provider.person["groups"] = []
    sign_on(provider)
    assert roles("ann") == {"finance"}, "given here"
    provider.person |= {"email": "ann.lee@example.com"}
    _, answer = sign_on(provider)
    assert answer["Location"] == "/admin/"
    assert User.objects.count() == 1, "she married; the id is the same"
    provider.person = {**ANN, "sub": "another", "email": "ann@example.com"}
    _, answer = sign_on(provider)
    assert answer.status_code == 403, "her old address went to a newcomer"
    assert "linked to another subject" in refusals()[-1]


@pytest.mark.parametrize("mapped", [False, True])
def test_nobody_becomes_or_is_a_superuser_by_a_claim_unless_the_operator_says_so(provider: Provider, settings: Any, mapped: bool) -> None:
    use(settings, provider, roles=ROLES | ({"llm-admins": "superuser"} if mapped else {}))
    provider.person["groups"] = ["llm-admins", "superuser", "llm-operators"]
    sign_on(provider)
    assert User.objects.get().is_superuser == mapped
    boss = User.objects.create_superuser("boss", email="boss@example.com", password=PASSWORD)
    provider.person = {**ANN, "sub": "boss-1", "email": "boss@example.com"}
    _, answer = sign_on(provider)
    assert answer.status_code == (302 if mapped else 403)
    boss.refresh_from_db()
    assert boss.is_superuser, "given here"
    provider.person = {**ANN, "groups": []}
    sign_on(provider)
    assert not User.objects.get(username="ann@example.com").is_superuser


def test_whoever_was_invited_comes_in_with_that_role_and_the_invitation_is_used(provider: Provider) -> None:
    boss = User.objects.create_superuser("boss", password=PASSWORD)
    row, _ = invite("Ann Lee", "ann@example.com", "auditor", boss)
    provider.person["groups"] = []
    _, answer = sign_on(provider)
    assert (answer.status_code, roles()) == (302, {"auditor"})
    row.refresh_from_db()
    assert row.state() == "accepted"
    higher, _ = invite("Bob", "bob@example.com", "superuser", boss)
    provider.person = {**ANN, "sub": "bob", "email": "bob@example.com", "groups": []}
    _, answer = sign_on(provider)
    assert answer.status_code == 403
    assert Invitation.objects.get(pk=higher.pk).state() == "open", "a superuser's needs its link"


def _now(**more: int) -> Any:
    return lambda p, claims: p.signed(claims | {name: int(time.time()) + by for name, by in more.items()})


def _hmac(p: Provider, claims: dict[str, Any]) -> str:
    """The classic: the public key as a shared secret."""
    import base64
    import hashlib
    import hmac as plain
    import json

    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    public = signing_key().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    parts = [base64.urlsafe_b64encode(json.dumps(one).encode()).rstrip(b"=") for one in ({"alg": "HS256", "kid": "one"}, claims)]
    signature = base64.urlsafe_b64encode(plain.digest(public, b".".join(parts), hashlib.sha256)).rstrip(b"=")
    return b".".join([*parts, signature]).decode()


LIES: dict[str, tuple[Any, str]] = {
    "wrong issuer": (lambda p, c: p.signed(c | {"iss": "http://127.0.0.1:1"}), "InvalidIssuerError"),
    "wrong audience": (lambda p, c: p.signed(c | {"aud": "another-client"}), "InvalidAudienceError"),
    "several audiences, issued to another": (lambda p, c: p.signed(c | {"aud": [CLIENT, "x"], "azp": "x"}), "another client"),
    "several audiences, issued to nobody": (lambda p, c: p.signed(c | {"aud": [CLIENT, "x"]}), "another client"),
    "expired": (_now(exp=-120), "ExpiredSignatureError"),
    "from the future": (_now(iat=3600, exp=7200), "ImmatureSignatureError"),
    "without an end": (lambda p, c: p.signed({k: v for k, v in c.items() if k != "exp"}), "MissingRequiredClaimError"),
    "not signed": (lambda p, c: jwt.encode(c, None, algorithm="none", headers={"kid": "one"}), "not signed with a key pair"),
    "signed with the public key": (_hmac, "not signed with a key pair"),
    "signed by a stranger": (lambda p, c: p.signed(c, key=signing_key(1)), "InvalidSignatureError"),
    "signed with an unknown key": (lambda p, c: p.signed(c, kid="two"), "no key of the provider"),
    "changed after signing": (lambda p, c: p.signed(c)[:-8] + "AAAAAAAA", "InvalidSignatureError"),
    "wrong nonce": (lambda p, c: p.signed(c | {"nonce": "of somebody else"}), "nonce"),
    "without a nonce": (lambda p, c: p.signed({k: v for k, v in c.items() if k != "nonce"}), "nonce"),
    "without a subject": (lambda p, c: p.signed(c | {"sub": ""}), "no subject"),
    "a subject that is a number": (lambda p, c: p.signed(c | {"sub": 7}), "does not hold"),
    "mail not verified": (lambda p, c: p.signed(c | {"email_verified": False}), "not verified"),
    "mail verified, it is not said": (lambda p, c: p.signed({k: v for k, v in c.items() if k != "email_verified"}), "not verified"),
    "another mail domain": (lambda p, c: p.signed(c | {"email": "ann@example.com.evil.test"}), "COGO_SSO_DOMAINS"),
    "mail that is none": (lambda p, c: p.signed(c | {"email": "ann@evil.test\n@example.com"}), "no mail address"),
    "no token at all": (lambda p, c: "", "ID token"),
    "nonsense": (lambda p, c: "a.b.c", "ID token"),
}


def test_a_lying_provider_lets_nobody_in(provider: Provider) -> None:
    for name, (lie, said) in LIES.items():
        provider.lie = lie
        browser, answer = sign_on(provider)
        assert answer.status_code == 403, name
        assert said in refusals()[-1], (name, refusals()[-1])
        assert browser.get("/admin/").status_code == 302, name
        SignInTries.objects.all().delete()
    assert not User.objects.exists()
    provider.lie = Provider.signed
    assert sign_on(provider)[1].status_code == 302, "and the truth does"
    assert len(LIES) >= 20


def test_an_answer_is_good_once_and_in_one_browser(provider: Provider) -> None:
    browser = Client()
    there = provider.authorize(browser.get("/admin/sso/")["Location"])
    stranger = Client()
    assert stranger.get(there).status_code == 403, "a link that somebody was sent"
    provider.takes_codes_again = True
    cookie = browser.cookies["cogo_sso"].value
    assert browser.get(there).status_code == 302
    assert browser.get(there).status_code == 403, "the cookie is gone"
    thief = Client()
    thief.cookies["cogo_sso"] = cookie
    assert thief.get(there).status_code == 403
    assert "second time" in refusals()[-1]
    other = Client()
    wrong = other.get("/admin/sso/")
    back = provider.authorize(wrong["Location"]).replace("state=", "state=x")
    assert other.get(back).status_code == 403
    forged = Client()
    forged.cookies["cogo_sso"] = cookie[:-3] + "abc"
    assert forged.get(there).status_code == 403
    assert [one.removeprefix("Single sign-on: ") for one in refusals()] == [
        "No sign-in was on its way.", "No sign-in was on its way.", "The answer came a second time.", "The state is not ours.",
        "No sign-in was on its way.",
    ]  # fmt: skip


def test_a_code_of_another_browser_is_worth_nothing_without_its_verifier(provider: Provider) -> None:
    victim, thief = Client(), Client()
    stolen = provider.authorize(victim.get("/admin/sso/")["Location"])
    own = provider.authorize(thief.get("/admin/sso/")["Location"])
    code = stolen.split("code=")[1].split("&")[0]
    assert thief.get(own.replace(own.split("code=")[1].split("&")[0], code)).status_code == 403
    assert "does not take the code" in refusals()[-1]


def test_what_the_provider_says_instead_of_a_code(provider: Provider) -> None:
    for query, said in (
        ({"error": "access_denied"}, "access_denied"),
        ({"error": "<script>"}, "something unreadable"),
        ({}, "no code"),
        ({"code": "x" * 5000}, "no code"),
        ({"code": "x", "iss": "https://another.example"}, "another issuer"),
    ):
        browser = Client()
        browser.get("/admin/sso/")
        started, _ = __import__("django.core.signing", fromlist=["loads"]).loads(browser.cookies["cogo_sso"].value, salt="cogo.sso")
        answer = browser.get("/admin/sso/back/", {"state": started[0], **query})
        assert answer.status_code == 403
        assert said in refusals()[-1]
        assert "<script>" not in answer.content.decode()
    assert provider.asked.count("/token") == 0


def test_a_provider_that_is_ill_costs_the_sign_in_alone(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    browser = Client()
    for ill, said in (
        ({"status": 500}, "it answered 500"),
        ({"status": 302}, "it answered 302"),
        ({"raw": b"<html>"}, "without a JSON object"),
        ({"raw": b"[" * 100_000}, "without a JSON object"),
        ({"raw": b" " * (_oidc.MOST_BYTES + 1)}, "too long"),
        ({"says": {"issuer": "https://another.example"}}, "another issuer"),
        ({"says": {"authorization_endpoint": "javascript:alert(1)"}}, "no usable authorization_endpoint"),
        ({"says": {"authorization_endpoint": 7}}, "no usable authorization_endpoint"),
    ):
        _oidc.forget()
        before = {name: getattr(provider, name) for name in ill}
        for name, value in ill.items():
            setattr(provider, name, value)
        answer = browser.get("/admin/sso/")
        assert answer.status_code == 502, ill
        assert said in refusals()[-1], refusals()[-1]
        for name, value in before.items():
            setattr(provider, name, value)
    _oidc.forget()
    monkeypatch.setattr(_oidc, "CLOCK_S", 0.2)
    provider.delay_s = 5.0
    watch = Stopwatch()
    assert browser.get("/admin/sso/").status_code == 502
    assert watch.took_s < 3
    assert "did not answer within" in refusals()[-1]
    User.objects.create_superuser("boss", password=PASSWORD)
    entered = browser.post("/admin/login/", {"username": "boss", "password": PASSWORD})
    assert (entered.status_code, browser.get("/admin/").status_code) == (302, 200)


def test_endpoints_without_tls_or_in_a_private_network_are_not_asked(provider: Provider, settings: Any) -> None:
    use(settings, provider, private=False, issuer=provider.issuer)
    assert Client().get("/admin/sso/").status_code == 502
    assert provider.asked == []
    assert "could not be asked" in refusals()[-1]


def test_what_only_userinfo_says_is_asked_for_and_has_to_be_of_the_same_person(provider: Provider) -> None:
    provider.lie = lambda p, c: p.signed({k: v for k, v in c.items() if k not in ("email", "email_verified", "groups", "name")})
    provider.in_userinfo = {"email": "Ann@Example.com", "email_verified": "true", "groups": ["llm-finance"]}
    assert sign_on(provider)[1].status_code == 302
    assert roles() == {"finance"}
    provider.in_userinfo |= {"sub": "another"}
    assert sign_on(provider)[1].status_code == 403
    assert "another person" in refusals()[-1]


def test_keycloak_s_nested_roles_and_a_role_for_everybody(provider: Provider, settings: Any) -> None:
    use(settings, provider, role_claim="realm_access.roles", roles={"a": "auditor"}, default_role="viewer")
    del provider.person["groups"]
    sign_on(provider)
    assert roles() == {"viewer"}
    provider.person["realm_access"] = {"roles": ["a"]}
    sign_on(provider)
    assert roles() == {"auditor"}


def test_the_doctor_asks_the_provider_and_names_what_is_wrong(provider: Provider, settings: Any) -> None:
    from cogo.doctor.people import signing_in

    assert [one.grade.value for one in signing_in()] == ["ok"]
    _oidc.forget()
    provider.status = 503
    use(settings, provider, roles={})
    (ill, nobody) = signing_in()
    assert (ill.grade.value, nobody.grade.value) == ("PROBLEM", "notice")
    assert "it answered 503" in ill.finding
    assert "sign_in_link" in ill.cure
    settings.COGO = settings.COGO | {"sign_on": None}
    assert [one.finding for one in signing_in()] == ["People sign in with passwords; single sign-on is not set up."]


def test_a_switched_off_account_stays_out(provider: Provider) -> None:
    sign_on(provider)
    User.objects.update(is_active=False)
    assert sign_on(provider)[1].status_code == 403
    assert "switched off" in refusals()[-1]


def test_answers_are_not_guessed_as_fast_as_one_likes(provider: Provider) -> None:
    browser = Client()
    seen = {browser.get("/admin/sso/back/", {"code": "x", "state": "y"}).status_code for _ in range(8)}
    assert seen == {403, 429}
