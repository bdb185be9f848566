"""A second factor: half a sign-in reaches nothing, a code is taken once, wrong ones wait, and who
lost the app still has a way."""

from __future__ import annotations

import base64
import re
import time
from typing import Any

import pytest
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.hotp import HOTP
from django.conf import settings as django_settings
from django.contrib.auth.models import Group, User
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from llm_gateway.actions import second_factor
from llm_gateway.actions.own_password import must_change
from llm_gateway.actions.rotate_encryption import make_encryption_key, rotate_encryption
from llm_gateway.actions.sign_in import ACCOUNT_HERE
from llm_gateway.api.entering import PENDING
from llm_gateway.models import AuditEntry, RecoveryCode, SecondFactor, SignInTries
from llm_gateway.stores import vault
from tests.admin.conftest import signed_in

pytestmark = pytest.mark.django_db
PASSWORD = "a password of my own 7"
ASKED, OWN = "/admin/sign-in/second-factor/", "/admin/second-factor/"
MIDDLEWARE = "llm_gateway.api.second_factor_wanted.second_factor_middleware"


def code_of(key: str, steps: int = 0) -> str:
    """As an app shows it."""
    return HOTP(base64.b32decode(key.replace(" ", "")), 6, SHA1()).generate(int(time.time() // 30) + steps).decode()


def fresh(user: User, key: str) -> str:
    """A code that was not taken yet: time passes for the row instead of the clock."""
    SecondFactor.objects.filter(pk=user.pk).update(last_step=0)
    return code_of(key)


@pytest.fixture
def ann(db: None) -> tuple[User, str, list[str]]:
    user = User.objects.create_user("ann", password=PASSWORD, is_staff=True)
    user.groups.add(Group.objects.get(name="operator"))
    key = second_factor.make_key()
    return user, key, second_factor.switch_on(user, key, code_of(key))


def half(browser: Client | None = None, username: str = "ann", onward: str = "") -> Client:
    """Whose password was right."""
    browser = browser or Client()
    answer = browser.post(f"/admin/login/{onward}", {"username": username, "password": PASSWORD})
    assert (answer.status_code, answer["Location"]) == (302, ASKED)
    return browser


def test_half_a_sign_in_reaches_nothing(ann: tuple[User, str, list[str]]) -> None:
    browser = half()
    assert "_auth_user_id" not in browser.session
    for path in (
        "/admin/",
        "/admin/llm_gateway/provider/",
        "/admin/password_change/",
        OWN,
        "/admin/reports/cost/?format=csv",
        "/admin/jsi18n/",
    ):
        assert browser.get(path)["Location"].startswith("/admin/login/"), path
    for path in ("/api/ai-models/status", "/api/ai-models/strategy", "/api/ai-models/generate"):
        assert browser.get(path, headers={"accept": "application/json"}).status_code == 401, path
    half_way, stranger = (one.post("/admin/playground/send/", {}).status_code for one in (browser, Client()))
    assert half_way == stranger
    user, key, _ = ann
    assert browser.post(ASKED, {"code": fresh(user, key)})["Location"] == "/admin/"
    assert browser.get("/admin/llm_gateway/provider/").status_code == 200
    assert PENDING not in browser.session
    assert AuditEntry.objects.filter(action="signed in", actor="ann", detail="with a second factor").count() == 1
    assert Client().get(ASKED)["Location"] == "/admin/login/", "nobody is expected"


def test_it_goes_on_to_the_page_that_was_asked_for_and_to_none_elsewhere(ann: tuple[User, str, list[str]]) -> None:
    user, key, _ = ann
    for asked, there in (("/admin/llm_gateway/team/", "/admin/llm_gateway/team/"), ("https://evil.test/", "/admin/")):
        browser = half(onward=f"?next={asked}")
        assert browser.post(ASKED, {"code": fresh(user, key)})["Location"] == there


def test_half_a_sign_in_ends_with_its_time_the_password_and_the_account(ann: tuple[User, str, list[str]]) -> None:
    user, key, _ = ann
    browser = half()
    kept = browser.session
    kept[PENDING] = {**kept[PENDING], "until": time.time() - 1}
    kept.save()
    assert browser.post(ASKED, {"code": fresh(user, key)})["Location"] == "/admin/login/"
    for change in ({"password": "pbkdf2$other"}, {"is_active": False}):
        before = User.objects.filter(pk=user.pk).values(*change)[0]
        browser = half()
        User.objects.filter(pk=user.pk).update(**change)
        assert browser.post(ASKED, {"code": fresh(user, key)})["Location"] == "/admin/login/", change
        User.objects.filter(pk=user.pk).update(**before)
    assert not AuditEntry.objects.filter(action="signed in").exists()


def test_whoever_was_signed_in_in_this_browser_is_signed_out_first(ann: tuple[User, str, list[str]]) -> None:
    browser = signed_in("viewer")
    half(browser)
    assert browser.get("/admin/").status_code == 302
    assert AuditEntry.objects.filter(action="signed out", actor="viewer").exists()


def test_a_code_is_taken_once_and_none_older_than_one_that_was(ann: tuple[User, str, list[str]]) -> None:
    user, key, _ = ann
    fresh(user, key)
    now = 1_800_000_000.0
    at = int(now // 30)
    maker = HOTP(base64.b32decode(key), 6, SHA1())
    code = {step: maker.generate(at + step).decode() for step in range(-3, 4)}
    assert not second_factor.passes(user, code[-2], now)
    assert not second_factor.passes(user, code[2], now)
    assert second_factor.passes(user, f" {code[0][:3]} {code[0][3:]} ", now), "as people type"
    assert not second_factor.passes(user, code[0], now), "seen over a shoulder"
    assert not second_factor.passes(user, code[-1], now)
    assert second_factor.passes(user, code[1], now)
    for text in ("", "12345", "1234567", "٠١٢٣٤٥", "a" * 4000, "0x1234", "\x00\x00\x00\x00\x00\x00"):
        assert not second_factor.passes(user, text, now)
    assert not second_factor.passes(User.objects.create_user("bob"), code[2], now)


def test_digits_are_those_of_the_standard() -> None:
    """RFC 6238, appendix B, as apps show it: six digits of SHA-1."""
    key = base64.b32encode(b"12345678901234567890").decode()
    for at, digits in ((59, "287082"), (1111111109, "081804"), (1234567890, "005924"), (20000000000, "353130")):
        assert second_factor._step_of(key, digits, float(at)) == at // 30


def test_recovery_codes_open_once_each_and_only_their_digests_are_kept(ann: tuple[User, str, list[str]]) -> None:
    user, _, codes = ann
    assert len(set(codes)) == second_factor.CODES
    stored = b"".join(bytes(row.digest) for row in RecoveryCode.objects.all())
    assert not any(code.replace("-", "").encode() in stored for code in codes)
    browser = half()
    assert browser.post(ASKED, {"code": codes[0].upper().replace("-", " ")})["Location"] == "/admin/"
    assert half().post(ASKED, {"code": codes[0]}).status_code == 200
    used = AuditEntry.objects.get(detail="A recovery code was used.")
    assert (used.actor, used.changes) == ("ann", {"recovery codes": [10, 9]})
    fresh_ones = second_factor.new_codes(user)
    assert half().post(ASKED, {"code": codes[1]}).status_code == 200, "the old list is dead"
    assert half().post(ASKED, {"code": fresh_ones[1]}).status_code == 302


def test_wrong_codes_wait_as_wrong_passwords_do(ann: tuple[User, str, list[str]]) -> None:
    user, key, _ = ann
    browser = half()
    answers = [browser.post(ASKED, {"code": "000000"}) for _ in range(ACCOUNT_HERE.free)]
    assert {answer.status_code for answer in answers} == {200}
    refused = browser.post(ASKED, {"code": fresh(user, key)})
    assert (refused.status_code, int(refused["Retry-After"]) >= 1) == (429, True), "even the right one waits"
    assert browser.get("/admin/").status_code == 302
    assert AuditEntry.objects.filter(action="sign-in failed", detail__contains="second factor was wrong").count() == ACCOUNT_HERE.free
    again = half(Client())
    assert again.post(ASKED, {"code": fresh(user, key)}).status_code == 429, "another browser of the same address does not help"
    SignInTries.objects.all().delete()
    assert browser.post(ASKED, {"code": fresh(user, key)}).status_code == 302


def test_a_person_switches_it_on_by_themself_and_off_again() -> None:
    browser = signed_in("viewer")
    user = User.objects.get(username="viewer")
    page = browser.get(OWN).content.decode()
    key = re.search(r"data-key>([A-Z2-7 ]+)<", page)
    assert key, page
    assert 'src="data:image/svg+xml;base64,' in page, "made here, asked of nobody"
    assert key[1] in browser.get(OWN).content.decode(), "the same until it is in force"
    assert key[1].replace(" ", "") not in str(browser.session.items()), "sealed in the session, too"
    assert "not right" in browser.post(OWN, {"code": "000000"}).content.decode()
    assert not SecondFactor.objects.exists()
    done = browser.post(OWN, {"code": code_of(key[1])})
    codes = re.findall(r"<li>([a-z2-9-]{19})</li>", done.content.decode())
    assert len(codes) == second_factor.CODES
    assert "no-store" in done["Cache-Control"]
    assert not any(code in browser.get(OWN).content.decode() for code in codes), "shown once"
    row = SecondFactor.objects.get()
    assert key[1].replace(" ", "") not in row.ciphertext
    assert vault.open_sealed(row.ciphertext, place=second_factor.place_of(row)).reveal() == key[1].replace(" ", "")
    assert browser.post(OWN, {"verb": "off", "code": "000000"}).status_code == 200
    assert SecondFactor.objects.exists()
    again = browser.post(OWN, {"verb": "codes", "code": codes[0]}).content.decode()
    assert len(re.findall(r"<li>([a-z2-9-]{19})</li>", again)) == second_factor.CODES
    assert browser.post(OWN, {"verb": "off", "code": fresh(user, key[1])}).status_code == 302
    assert not SecondFactor.objects.exists()
    told = list(AuditEntry.objects.filter(actor="viewer", action="changed").order_by("pk").values_list("detail", flat=True))
    assert told == [
        "Second factor switched on.", "A recovery code was used.", "Recovery codes made anew.", "Second factor switched off.",
    ]  # fmt: skip
    assert not any(code in str(list(AuditEntry.objects.values())) for code in (*codes, key[1]))


def test_a_superuser_or_the_terminal_resets_it_and_nobody_else_does(ann: tuple[User, str, list[str]]) -> None:
    user, key, _ = ann
    reset = f"/admin/auth/user/{user.pk}/second-factor/reset/"
    for role in ("viewer", "auditor", "operator", "finance"):
        assert signed_in(role).post(reset).status_code == 403
    boss = signed_in("boss", is_superuser=True)
    assert boss.get(reset).status_code == 405
    assert "Reset second factor" in boss.get(f"/admin/auth/user/{user.pk}/change/").content.decode()
    assert "second factor" in boss.get("/admin/auth/user/").content.decode()
    assert boss.post(reset).status_code == 302
    assert not SecondFactor.objects.exists()
    entry = AuditEntry.objects.get(detail__contains="reset by somebody else")
    assert (entry.actor, entry.object_name, entry.changes) == ("boss", "ann", {"second factor": ["on", None]})
    assert Client().post("/admin/login/", {"username": "ann", "password": PASSWORD})["Location"] == "/admin/"
    second_factor.switch_on(user, key, code_of(key))
    call_command("reset_second_factor", "ann")
    assert not SecondFactor.objects.exists()


class TestWanted:
    @pytest.fixture(autouse=True)
    def roles(self, settings: Any) -> None:
        settings.COGO = settings.COGO | {"second_factor_roles": frozenset({"operator", "superuser"})}
        at = settings.MIDDLEWARE.index("llm_gateway.api.own_password.own_password_middleware") + 1
        settings.MIDDLEWARE = [*settings.MIDDLEWARE[:at], MIDDLEWARE, *settings.MIDDLEWARE[at:]]

    def test_whose_role_takes_one_sets_it_up_before_the_session_begins(self) -> None:
        must_change(User.objects.create_superuser("boss", password=PASSWORD))
        browser = half(username="boss")
        page = browser.get(ASKED).content.decode()
        key = re.search(r"data-key>([A-Z2-7 ]+)<", page)
        assert key
        assert browser.get("/admin/").status_code == 302
        done = browser.post(ASKED, {"code": code_of(key[1])}).content.decode()
        assert len(re.findall(r"<li>([a-z2-9-]{19})</li>", done)) == second_factor.CODES
        assert browser.get("/admin/")["Location"] == "/admin/password_change/", "the one-time password still has to go"
        new = "another of my own 8"
        browser.post("/admin/password_change/", {"old_password": PASSWORD, "new_password1": new, "new_password2": new})
        assert browser.get("/admin/").status_code == 200
        assert browser.post(OWN, {"verb": "off", "code": fresh(User.objects.get(), key[1])}).status_code == 200
        assert SecondFactor.objects.exists(), "the role wants it"

    def test_a_session_from_before_sets_one_up_at_the_next_click(self) -> None:
        browser = signed_in("viewer")
        assert browser.get("/admin/").status_code == 200
        User.objects.get().groups.add(Group.objects.get(name="operator"))
        assert browser.get("/admin/llm_gateway/provider/")["Location"] == OWN
        answer = browser.get("/api/ai-models/status", headers={"accept": "application/json"})
        assert (answer.status_code, OWN in answer.json()["error"]["message"]) == (403, True)
        page = browser.get(OWN).content.decode()
        assert "/admin/llm_gateway/provider/" not in page, "a menu whose entries do not open"
        key = re.search(r"data-key>([A-Z2-7 ]+)<", page)
        assert key
        browser.post(OWN, {"code": code_of(key[1])})
        assert browser.get("/admin/llm_gateway/provider/").status_code == 200

    def test_a_session_from_before_of_somebody_who_has_one_signs_in_anew(self, ann: tuple[User, str, list[str]]) -> None:
        browser = Client()
        browser.force_login(ann[0], backend="django.contrib.auth.backends.ModelBackend")
        assert browser.get("/admin/")["Location"] == OWN
        assert browser.post(OWN, {"verb": "codes", "code": ann[2][0]})["Location"] == "/admin/login/"
        assert RecoveryCode.objects.filter(used_at=None).count() == second_factor.CODES

    def test_other_roles_are_not_asked(self) -> None:
        assert signed_in("viewer").get("/admin/").status_code == 200


def test_pages_pay_no_query_for_it_where_no_role_needs_one() -> None:
    assert MIDDLEWARE not in django_settings.MIDDLEWARE
    browser = signed_in("viewer")
    with CaptureQueriesContext(connection) as seen:
        browser.get("/admin/llm_gateway/provider/")
    assert not any("secondfactor" in query["sql"] for query in seen)


def test_the_key_is_rotated_with_all_other_secrets(ann: tuple[User, str, list[str]], settings: Any) -> None:
    user, key, _ = ann
    settings.COGO_ENCRYPTION_KEYS = f"{make_encryption_key()},{settings.COGO_ENCRYPTION_KEYS}"
    before = SecondFactor.objects.get().ciphertext
    assert rotate_encryption().moved >= 1
    assert SecondFactor.objects.get().ciphertext != before
    assert second_factor.passes(user, fresh(user, key))
