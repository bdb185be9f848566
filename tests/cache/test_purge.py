"""Being rid of kept answers: by the console, by command, by erasure, by time, and by a new encryption key."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from llm_gateway.actions.purge import erase_subject, purge
from llm_gateway.actions.purge_answers import expire_answers
from llm_gateway.actions.rotate_encryption import make_encryption_key, rotate_encryption, verify_encryption
from llm_gateway.engine.asked import Asking
from llm_gateway.models import Alias, AuditEntry, CachedAnswer, CacheRule, ClientKey
from llm_gateway.stores import vault
from tests.support.gateway import GatewayServer

ON = {"x-cogo-cache": "on"}


@pytest.fixture(autouse=True)
def patient(gateway: GatewayServer) -> Iterator[None]:
    gateway.gateway.answers.deadline_s = 5.0
    yield
    gateway.gateway.answers.deadline_s = 0.02


def said(gateway: GatewayServer, prompt: str, model: str = "kept", key: str | None = None, **more: Any) -> str:
    answer = gateway.client("openai_chat", key).ask(model, prompt, headers=ON, temperature=0, **more)
    assert answer.status == 200, answer.body
    return answer.headers["x-cogo-cache"]


def fresh(gateway: GatewayServer, *args: Any) -> str:
    """In every worker within two seconds: the next look at the catalogue."""
    gateway.refresh()
    return said(gateway, *args)


def test_each_scope_is_purged_in_memory_and_at_rest(gateway: GatewayServer) -> None:
    gateway.alias("kept", ("chat", "purged"))
    key = ClientKey.objects.get(name="tester")
    for scope, whose in (("all", ""), ("team", "test"), ("key", key.public_id), ("alias", "kept"), ("model", "chat/purged")):
        assert said(gateway, f"purge {scope}") == "miss"
        gateway.settle()
        assert said(gateway, f"purge {scope}") == "hit"
        assert CachedAnswer.objects.exists()
        call_command("purge_cache", scope, whose)
        assert not CachedAnswer.objects.exists()
        assert fresh(gateway, f"purge {scope}") == "miss", scope
        assert said(gateway, f"purge {scope}") == "hit", "what is made afterwards is kept again"
        gateway.settle()
    for scope, whose in (("team", "nobody"), ("key", ""), ("alias", "none"), ("all", "of it")):
        with pytest.raises(CommandError):
            call_command("purge_cache", scope, whose)
    assert AuditEntry.objects.filter(action="ran", object_name="purge_cache").exists()


def test_the_console_keeps_rules_and_purges(gateway: GatewayServer) -> None:
    from django.contrib.auth.models import User
    from django.test import Client

    gateway.alias("kept", ("chat", "purged"))
    boss = Client(headers={"host": "localhost"})
    boss.force_login(User.objects.create_superuser("boss"))
    try:
        page = "/admin/llm_gateway/cacherule/"
        alias = Alias.objects.get(name="kept").pk
        key = ClientKey.objects.get(name="tester").pk
        usual = {"switch": "on", "semantic": "off"}
        assert boss.post(page + "add/", usual | {"alias": alias, "shared": "on"}).status_code == 302
        for wrong, told in (
            ({"alias": alias, "client_key": key}, "name one or none"), ({"client_key": key, "shared": "on"}, "Only an alias"),
            ({"ttl_s": "59"}, "greater than or equal to 60"), ({"alias": alias}, "already exists"),
        ):  # fmt: skip
            answer = boss.post(page + "add/", usual | wrong)
            assert answer.status_code == 200
            assert told in answer.content.decode(), told
        assert boss.post(page + "add/", usual).status_code == 302
        assert "has its rule already" in boss.post(page + "add/", usual).content.decode()
        assert AuditEntry.objects.filter(noun="llm_gateway.cacherule", action="added").count() == 2
        assert said(gateway, "by the console") == "miss"
        gateway.settle()
        assert boss.get(page + "purge/").status_code == 405
        assert boss.post(page + "purge/?purge_scope=alias&purge_whose=kept").status_code == 302
        assert fresh(gateway, "by the console") == "miss"
        assert AuditEntry.objects.filter(action="did", detail="Purged alias kept.").exists()
        for nonsense in ({"purge_scope": "everything"}, {"purge_scope": "key", "purge_whose": "\x00"}, {"purge_scope": "team"}):
            assert boss.post(page + "purge/", nonsense).status_code == 302
        kept = gateway.client().ask("kept", "by the console", headers=ON, temperature=0)
        assert kept.headers["x-cogo-cache"] == "hit"
        shown = boss.get(f"/admin/llm_gateway/requestlog/{gateway.row(kept).pk}/change/").content.decode()
        assert "hit, saved $" in shown
        assert kept.headers["x-cogo-cached-from"] in shown
        assert "Hit rate" in boss.get("/admin/reports/cache/?by=alias&by=client_key_id").content.decode()
    finally:
        CacheRule.objects.all().delete()
        User.objects.filter(username="boss").delete()
        gateway.refresh()


def test_whom_one_erases_is_in_no_kept_answer(gateway: GatewayServer) -> None:
    gateway.alias("kept", ("chat", "purged"))
    assert said(gateway, "erase me", user="somebody") == "miss"
    assert said(gateway, "erase me") == "hit", "whom it is for is no part of the question"
    gateway.settle()
    assert erase_subject("somebody") == 1
    assert not CachedAnswer.objects.exists()
    assert fresh(gateway, "erase me") == "miss"


def test_time_and_retention_take_them_away(gateway: GatewayServer) -> None:
    gateway.alias("kept", ("chat", "purged"))
    CachedAnswer.objects.all().delete()
    said(gateway, "for a day")
    gateway.settle()
    assert expire_answers() == 0
    assert expire_answers(timezone.now() + timedelta(days=1, minutes=1)) == 1
    said(gateway, "for a day", "kept", None, max_tokens=400)
    gateway.settle()
    purge(timezone.now() + timedelta(minutes=1), bodies_only=True, days=0)
    assert not CachedAnswer.objects.exists()


def test_a_new_encryption_key_makes_everything_of_before_unreachable(gateway: GatewayServer, settings: Any) -> None:
    gateway.alias("kept", ("chat", "purged"))
    said(gateway, "before the rotation")
    gateway.settle()
    before = settings.COGO_ENCRYPTION_KEYS
    pipeline = gateway.gateway.pipeline
    settings.COGO_ENCRYPTION_KEYS = f"{make_encryption_key()},{before}"
    asking, pipeline._asking = pipeline._asking, Asking(vault.cache_secret())
    try:
        assert said(gateway, "before the rotation") == "miss"
        gateway.settle()
        assert rotate_encryption().failed == ()
        settings.COGO_ENCRYPTION_KEYS = settings.COGO_ENCRYPTION_KEYS.split(",")[0]
        assert not [line for line in verify_encryption(bulky=True) if "answer" in line], "what is at rest is sealed anew like all texts"
    finally:
        pipeline._asking = asking
        settings.COGO_ENCRYPTION_KEYS = before
        CachedAnswer.objects.all().delete()
        for row in gateway.rows.providers.values():
            for held in row.keys.all():
                from llm_gateway.actions.store_provider_key import store_provider_key

                store_provider_key(row, f"sim-valid-{row.slug}-{held.name}", held.name)
        gateway.refresh()
