"""A colleague comes in by a link: once, within seven days, with a password of their own and the role they were invited to."""

from __future__ import annotations

import json
import re
import socket
import threading
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.core import mail
from django.db import IntegrityError, connections, transaction
from django.test import Client
from django.utils import timezone

from llm_gateway.actions import ActionError
from llm_gateway.actions.accept_invitation import accept_invitation, invitation_of
from llm_gateway.actions.invite import invite, renew_invitation, withdraw_invitation
from llm_gateway.actions.mail_invitation import mail_invitation
from llm_gateway.actions.sign_in import ACCOUNT_HERE
from llm_gateway.actions.trim_history import trim_history
from llm_gateway.core.roles import ROLES
from llm_gateway.models import AuditEntry, Invitation, OneTimePassword
from tests.admin.conftest import signed_in
from tests.admin.forms import post

pytestmark = pytest.mark.django_db
OWN = "a password of my own 7"
ADD = "/admin/llm_gateway/invitation/add/"
LIST = "/admin/llm_gateway/invitation/"
HERE = {"REMOTE_ADDR": "203.0.113.5"}


@pytest.fixture
def boss(db: None) -> Client:
    return signed_in("boss", is_superuser=True)


def link_in(answer: Any) -> str:
    found = re.search(r'value="http://testserver(/invitation/[\w-]{43}/)"', answer.content.decode())
    assert found, answer.content.decode()[-3000:]
    return found[1]


def invited(boss: Client, role: str = "operator", email: str = "Ann.Lee@example.com", name: str = "Ann Lee") -> str:
    return link_in(post(boss, ADD, name=name, email=email, role=role))


def choose(browser: Client, link: str, password: str = OWN) -> Any:
    answer = browser.get(link, follow=True, **HERE)
    if answer.status_code != 200:
        return answer
    return browser.post("/invitation/", {"new_password1": password, "new_password2": password}, **HERE)


@pytest.mark.parametrize("role", ["auditor", "superuser"])
def test_the_link_leads_to_an_own_password_and_into_the_console(boss: Client, role: str) -> None:
    link = invited(boss, role)
    ann = Client()
    first = ann.get(link, **HERE)
    assert (first.status_code, first["Location"]) == (302, "/invitation/"), "the secret leaves the address bar"
    page = ann.get("/invitation/", **HERE)
    assert "you are invited as " + role in page.content.decode()
    assert page["Referrer-Policy"] == "same-origin", "without one, browsers post the form from the origin “null”"
    assert "no-store" in page["Cache-Control"]
    for weak in ("short", "ann.lee@example.com"):
        assert ann.post("/invitation/", {"new_password1": weak, "new_password2": weak}, **HERE).status_code == 200
    assert not User.objects.filter(username__icontains="ann").exists()
    assert choose(ann, link)["Location"] == "/admin/"
    welcome = ann.get("/admin/", **HERE).content.decode()
    assert "sign in as ann.lee@example.com" in welcome
    user = User.objects.get(username="ann.lee@example.com")
    assert (user.get_full_name(), user.email, user.is_staff, user.is_superuser) == (
        "Ann Lee",
        "Ann.Lee@example.com",
        True,
        role == "superuser",
    )
    assert [group.name for group in user.groups.all()] == ([] if role == "superuser" else [role])
    assert not OneTimePassword.objects.exists()
    again = Client()
    assert again.post("/admin/login/", {"username": "ann.lee@example.com", "password": OWN}).status_code == 302
    row = Invitation.objects.get()
    assert (row.state(), row.account) == ("accepted", user)


def test_every_role_is_the_one_they_were_invited_to() -> None:
    boss = User.objects.create_superuser("boss")
    for role in ROLES:
        row, _ = invite(role, f"{role}@example.com", role, boss)
        user = accept_invitation(row, OWN)
        assert [group.name for group in user.groups.all()] == [role]
        assert (user.is_staff, user.is_superuser) == (True, False)


def test_a_link_opens_once_and_dead_links_are_all_alike(boss: Client) -> None:
    """Used, withdrawn, expired, renewed, of an account there is, of a disabled superuser, made up: the same page, no account."""
    used, withdrawn, expired, renewed, taken, orphaned = (invited(boss, email=f"p{n}@example.com") for n in range(6))
    choose(Client(), used)
    rows = {row.email: row for row in Invitation.objects.all()}
    boss.post(f"{LIST}{rows['p1@example.com'].pk}/withdraw/")
    Invitation.objects.filter(email="p2@example.com").update(
        created_at=timezone.now() - timedelta(days=8), expires_at=timezone.now() - timedelta(days=1)
    )
    before = Client()
    before.get(renewed, **HERE)
    fresh = link_in(boss.post(f"{LIST}{rows['p3@example.com'].pk}/renew/"))
    User.objects.create_user("P4@example.com", is_active=False)
    other = User.objects.create_superuser("other")
    Invitation.objects.filter(email="p5@example.com").update(invited_by=other)
    User.objects.filter(pk=other.pk).update(is_active=False)
    count = User.objects.count()
    pages = set()
    for number, link in enumerate((used, withdrawn, expired, renewed, taken, orphaned, f"/invitation/{'A' * 43}/", "/invitation/x/")):
        answer = Client().get(link, follow=True, REMOTE_ADDR=f"203.0.113.{number}")
        assert answer.status_code == 404, link
        pages.add(re.sub(r'name="csrfmiddlewaretoken" value="[^"]+"', "", answer.content.decode()))
    assert len(pages) == 1
    assert before.get("/invitation/").status_code == 404, "a browser that had the old link open"
    assert before.post("/invitation/", {"new_password1": OWN, "new_password2": OWN}).status_code == 404
    assert User.objects.count() == count
    assert choose(Client(), fresh)["Location"] == "/admin/"
    assert boss.post(f"{LIST}{rows['p0@example.com'].pk}/withdraw/", follow=True).status_code == 200
    assert Invitation.objects.get(email="p0@example.com").state() == "accepted"


def test_only_a_keyed_digest_is_kept_and_nothing_repeats_the_secret(boss: Client) -> None:
    link = invited(boss)
    secret = link.split("/")[2]
    browser = Client()
    browser.get(link, **HERE)
    stored = json.dumps([[str(v) for v in row] for row in (*Invitation.objects.values_list(), *AuditEntry.objects.values_list())])
    stored += str([session.get_decoded() for session in Session.objects.all()])
    assert secret not in stored
    assert secret not in boss.get(LIST).content.decode()
    assert len(bytes(Invitation.objects.get().digest)) == 32


def test_each_step_is_in_the_trail(boss: Client) -> None:
    invited(boss)
    row = Invitation.objects.get()
    link = link_in(boss.post(f"{LIST}{row.pk}/renew/"))
    choose(Client(), link)
    invited(boss, email="bob@example.com", name="Bob")
    boss.post(f"{LIST}{Invitation.objects.get(email='bob@example.com').pk}/withdraw/")
    steps = [(e.actor, e.action, e.detail) for e in AuditEntry.objects.filter(noun="llm_gateway.invitation").order_by("pk")]
    assert steps == [
        ("boss", "added", ""),
        ("boss", "changed", "Renewed."),
        ("ann.lee@example.com", "changed", "Accepted."),
        ("boss", "added", ""),
        ("boss", "changed", "Withdrawn."),
    ]
    assert AuditEntry.objects.filter(noun="auth.user", action="added", actor="ann.lee@example.com", address="203.0.113.5").exists()
    assert AuditEntry.objects.filter(action="signed in", actor="ann.lee@example.com").exists()


def test_guessing_links_has_to_wait_as_guessing_passwords_does(boss: Client) -> None:
    link = invited(boss)
    for _ in range(ACCOUNT_HERE.free):
        assert Client().get(f"/invitation/{'B' * 43}/", **HERE).status_code == 404
    for path in (f"/invitation/{'B' * 43}/", link):
        refused = Client().get(path, **HERE)
        assert refused.status_code == 429
        assert int(refused["Retry-After"]) >= 1
    assert Client().get(link, REMOTE_ADDR="198.51.100.7").status_code == 302, "nobody else waits"


def test_only_superusers_invite_and_the_form_says_what_is_wrong(boss: Client) -> None:
    link = invited(boss)
    row = Invitation.objects.get()
    for role in ROLES:
        client = signed_in(role)
        assert client.get(ADD).status_code == 403
        assert client.post(ADD, {"name": "x", "email": "x@example.com", "role": "superuser"}).status_code == 403
        for verb in ("renew", "withdraw"):
            assert client.post(f"{LIST}{row.pk}/{verb}/").status_code == 403
    assert boss.get(f"{LIST}{row.pk}/withdraw/").status_code == 405
    User.objects.create_user("there", email="there@example.com")
    for wrong, said in (
        ({"email": "ANN.lee@example.com"}, "invited already"),
        ({"email": "There@example.com"}, "an account with this address"),
        ({"email": "o'neill@example.com"}, "no address that can be signed in with"),
        ({"email": f"{'a' * 60}@{'b' * 60}.{'c' * 40}.com"}, "longer than 150"),
        ({"role": "owner"}, "not one of the available choices"),
        ({"name": ""}, "required"),
    ):
        answer = post(boss, ADD, **{"name": "X", "email": "x@example.com", "role": "viewer", **wrong})
        assert answer.status_code == 200
        assert said in answer.content.decode(), wrong
    assert Invitation.objects.count() == 1
    assert boss.post(f"{LIST}{row.pk}/change/", {"name": "forged", "role": "superuser", "_save": "1"}).status_code in (200, 302, 403)
    row.refresh_from_db()
    assert (row.name, row.role) == ("Ann Lee", "operator")
    assert choose(boss, link)["Location"] == "/admin/", "in the browser of somebody who is signed in"
    assert not OneTimePassword.objects.exists()
    with pytest.raises(ActionError):
        invite("x", "x@example.com", "viewer", User.objects.get(username="ann.lee@example.com"))
    with pytest.raises(IntegrityError), transaction.atomic():
        Invitation.objects.filter(pk=row.pk).update(withdrawn_at=timezone.now())


def test_it_is_mailed_where_mail_is_configured_and_a_silent_server_holds_nobody_up(boss: Client, settings: Any) -> None:
    assert "Mail is not configured" in post(boss, ADD, name="A", email="a@example.com", role="viewer").content.decode()
    settings.COGO = settings.COGO | {"mail": True}
    answer = post(boss, ADD, name="B", email="b@example.com", role="viewer")
    assert "Mailed to b@example.com" in answer.content.decode()
    assert mail.outbox[0].to == ["b@example.com"]
    assert link_in(answer) in mail.outbox[0].body
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = silent.getsockname()
        said = mail_invitation(Invitation.objects.get(name="B"), "http://x/", "boss", clock_s=0.2)
        assert "did not answer" in said
    settings.EMAIL_PORT = 1
    assert "could not be mailed" in mail_invitation(Invitation.objects.get(name="B"), "http://x/", "boss")


@pytest.mark.django_db(transaction=True)
def test_of_twins_who_choose_at_once_one_comes_in() -> None:
    row, token = invite("Ann", "ann@example.com", "viewer", User.objects.create_superuser("boss"))
    found = invitation_of(token)
    assert found is not None
    start, ends = threading.Barrier(6), []

    def one() -> None:
        start.wait()
        try:
            ends.append(accept_invitation(found, OWN).pk)
        except ActionError:
            ends.append(None)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=one) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len([end for end in ends if end]) == 1
    assert User.objects.filter(username="ann@example.com").count() == 1
    assert Invitation.objects.get(pk=row.pk).account_id == next(end for end in ends if end)


def test_what_is_withdrawn_or_renewed_while_the_form_is_on_its_way_opens_nothing() -> None:
    boss = User.objects.create_superuser("boss")
    for end in (withdraw_invitation, lambda row: renew_invitation(row, boss)):
        row, token = invite("Ann", "ann@example.com", "viewer", boss)
        found = invitation_of(token)
        assert found is not None
        end(row)
        with pytest.raises(ActionError):
            accept_invitation(found, OWN)
        assert not User.objects.filter(username="ann@example.com").exists()


def test_old_invitations_go(boss: Client) -> None:
    invited(boss)
    assert trim_history().invitations == 0
    assert trim_history(timezone.now() + timedelta(days=98)).invitations == 1
