from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.core.checks import run_checks
from django.utils import timezone

from llm_gateway import checks
from llm_gateway.actions import rotate_encryption as module
from llm_gateway.actions.rotate_encryption import make_encryption_key, rotate_encryption, verify_encryption
from llm_gateway.actions.store_provider_key import store_keyless, store_provider_key
from llm_gateway.models import CatalogueVersion, Provider, ProviderKey, RequestBody, RequestLog, Team
from llm_gateway.stores import vault

pytestmark = pytest.mark.django_db
SECRET = "canary-0123456789-abcd"


@pytest.fixture
def keys(host: Provider, settings: Any) -> tuple[str, str]:
    """Three keys sealed with an old master key, which is then second."""
    old, new = make_encryption_key(), make_encryption_key()
    settings.COGO_ENCRYPTION_KEYS = old
    for number in range(3):
        store_provider_key(host, f"{SECRET}-{number}", f"key {number}")
    store_keyless(host, "none")
    settings.COGO_ENCRYPTION_KEYS = f"{new},{old}"
    return old, new


def secrets() -> list[str]:
    rows = ProviderKey.objects.exclude(ciphertext="").order_by("name")
    return [vault.open_sealed(row.ciphertext, place=vault.place_of(row)).reveal() for row in rows]


def test_every_row_moves_to_the_newest_key_and_the_old_one_may_go(keys: tuple[str, str], settings: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(module, "CHUNK", 2)
    assert rotate_encryption() == module.Rotation(moved=3)
    settings.COGO_ENCRYPTION_KEYS = keys[1]
    assert secrets() == [f"{SECRET}-{number}" for number in range(3)]
    assert verify_encryption() == []


def test_prompts_and_answers_move_too(keys: tuple[str, str], settings: Any, monkeypatch: pytest.MonkeyPatch, team: Team) -> None:
    monkeypatch.setattr(module, "CHUNK", 2)
    settings.COGO_ENCRYPTION_KEYS = keys[0]
    now = timezone.now()
    for number in range(3):
        row = RequestLog.objects.create(
            id=uuid.uuid4(), created_at=now, finished_at=now, state="ok", kind="chat", dialect="native", team=team
        )
        text = vault.seal(f"text {number}", place=f"requestbody:{row.pk.hex}:prompt")
        RequestBody.objects.create(request=row, created_at=now, prompt=text)
    settings.COGO_ENCRYPTION_KEYS = f"{keys[1]},{keys[0]}"
    assert rotate_encryption().moved == 6
    settings.COGO_ENCRYPTION_KEYS = keys[1]
    assert verify_encryption(bulky=True) == []
    bodies = [vault.open_sealed(b.prompt, place=f"requestbody:{b.pk.hex}:prompt").reveal() for b in RequestBody.objects.all()]
    assert sorted(bodies) == ["text 0", "text 1", "text 2"]


def test_a_second_rotation_moves_nothing_and_wakes_nobody(keys: tuple[str, str]) -> None:
    rotate_encryption()
    version = CatalogueVersion.current()
    assert rotate_encryption() == module.Rotation(current=3)
    assert CatalogueVersion.current() == version


def test_a_row_that_does_not_open_is_named_and_left_alone(keys: tuple[str, str], settings: Any) -> None:
    settings.COGO_ENCRYPTION_KEYS = keys[1]
    before = list(ProviderKey.objects.values_list("ciphertext", flat=True))
    result = rotate_encryption()
    assert (result.moved, len(result.failed)) == (0, 3)
    assert "key 0" in result.failed[0]
    assert list(ProviderKey.objects.values_list("ciphertext", flat=True)) == before
    assert len(verify_encryption()) == 3
    assert SECRET not in repr(result)


def test_a_key_replaced_meanwhile_is_not_overwritten(keys: tuple[str, str], host: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    seal = vault.seal

    def late(plain: str, *, place: str) -> str:
        monkeypatch.setattr(vault, "seal", seal)
        store_provider_key(host, "another-0123456789", "key 0")
        return seal(plain, place=place)

    monkeypatch.setattr(vault, "seal", late)
    rotate_encryption()
    assert secrets()[0] == "another-0123456789"


def test_the_system_check_asks_the_database_only_when_told(keys: tuple[str, str], settings: Any, django_assert_num_queries: Any) -> None:
    settings.COGO_ENCRYPTION_KEYS = keys[1]
    with django_assert_num_queries(0):
        assert [m.id for m in run_checks(tags=["cogo", "database"]) if (m.id or "").startswith("cogo.")] == []
    assert [m.id for m in checks.check_rows(databases=["default"])] == ["cogo.W005"] * 3


def test_unreadable_master_keys_are_an_error(settings: Any) -> None:
    settings.COGO_ENCRYPTION_KEYS = "a:short"
    assert [m.id for m in checks.check_encryption_keys()] == ["cogo.E004"]


@pytest.mark.parametrize(
    ("change", "codes"),
    [
        ({}, []),
        ({"timeout": 200}, ["cogo.E001"]),
        ({"timeout": None}, ["cogo.E001"]),
        ({"max_attempts": 0}, ["cogo.E002"]),
        ({"catch_up": True}, ["cogo.E003"]),
    ],
)
def test_a_cluster_that_would_run_tasks_twice_is_an_error(settings: Any, change: dict[str, Any], codes: list[str]) -> None:
    settings.Q_CLUSTER = {**settings.Q_CLUSTER, **change}
    assert [m.id for m in checks.check_task_cluster()] == codes
