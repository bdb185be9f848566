"""Rolling a client key: once per form, within rights, with its old text kept for a while."""

from __future__ import annotations

import io
from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission, User
from django.core.management import call_command
from django.utils import timezone

from llm_gateway.actions import ActionError
from llm_gateway.actions.create_client_key import create_client_key
from llm_gateway.actions.revoke_client_key import revoke_client_key
from llm_gateway.actions.roll_client_key import AlreadyRolled, end_replaced_key, roll_client_key
from llm_gateway.core.errors import PermissionDenied
from llm_gateway.core.keys import public_id_of
from llm_gateway.models import AuditEntry, CatalogueVersion, ClientKey, ReplacedKey, Team
from llm_gateway.stores import vault

pytestmark = pytest.mark.django_db


def test_a_roll_keeps_the_row_and_only_digests_of_both_texts(team: Team) -> None:
    key, first = create_client_key("ci", team)
    before, version = key.public_id, CatalogueVersion.current()
    until = timezone.now() + timedelta(days=1)
    second = roll_client_key(key, keep_until=until, expected=before)
    assert (key.pk, key.public_id, bytes(key.digest)) == (ClientKey.objects.get().pk, public_id_of(second), vault.digest(second))
    old = ReplacedKey.objects.get()
    assert (old.public_id, bytes(old.digest), old.dies_at) == (before, vault.digest(first), until)
    assert CatalogueVersion.current() > version
    entry = AuditEntry.objects.get(action="rolled")
    assert entry.changes["public_id"] == [before, key.public_id]
    for table in (ClientKey, ReplacedKey, AuditEntry):
        for text in (first, second):
            assert text.split("_")[2] not in str(list(table.objects.values()))
    with pytest.raises(AlreadyRolled, match="rolled already"):
        roll_client_key(key, keep_until=until, expected=before)
    assert ReplacedKey.objects.count() == 1
    assert create_client_key("again", team, preset=first)[0] == key, "the installation's own key may have been rolled"


def test_what_cannot_be_rolled_says_why(team: Team) -> None:
    key, _ = create_client_key("ci", team)
    with pytest.raises(ActionError, match="at most 90 days"):
        roll_client_key(key, keep_until=timezone.now() + timedelta(days=91))
    ClientKey.objects.update(expires_at=timezone.now())
    with pytest.raises(ActionError, match="has expired"):
        roll_client_key(key)
    revoke_client_key(key)
    with pytest.raises(ActionError, match="for good"):
        roll_client_key(key)
    assert not ReplacedKey.objects.exists()


def test_nobody_gets_a_text_that_may_do_more_than_they_do(team: Team) -> None:
    key, _ = create_client_key("ci", team, scopes=["generate"])
    person = User.objects.create_user("maker")
    person.user_permissions.set(Permission.objects.filter(codename="change_clientkey"))
    with pytest.raises(PermissionDenied, match="scope generate"):
        roll_client_key(key, by=person)
    assert ClientKey.objects.get().public_id == key.public_id


def test_a_dead_text_stays_dead(team: Team) -> None:
    key, _ = create_client_key("ci", team)
    roll_client_key(key)
    old = ReplacedKey.objects.get()
    assert old.dies_at == old.replaced_at
    assert not end_replaced_key(old)
    assert not AuditEntry.objects.filter(detail__contains="ended").exists()


def test_commands_roll_and_end(team: Team) -> None:
    key, _ = create_client_key("ci", team)
    first = key.public_id
    out, told = io.StringIO(), io.StringIO()
    call_command("roll_client_key", f"cogo_{first}_…", "--keep", "24h", stdout=out, stderr=told)
    key.refresh_from_db()
    assert public_id_of(out.getvalue().strip()) == key.public_id != first
    assert "works until" in told.getvalue()
    call_command("revoke_client_key", first, stdout=out)
    assert "the old text of ci is dead" in out.getvalue()
    key.refresh_from_db()
    assert key.revoked_at is None
