"""T22: one person is erased wherever the gateway keeps them, in every dialect; everybody else and every figure stays."""

from __future__ import annotations

import base64
import zlib
from typing import Any
from uuid import uuid4

import pytest
from django.apps import apps
from django.db import models

from tests.support.gateway import GatewayServer
from tests.support.speaking import Answer
from tests.support.waiting import until

ASKED = {
    "openai_chat": ("chat/any", {"user": "{}"}),
    "openai_responses": ("responses/any", {"safety_identifier": "{}"}),
    "anthropic_messages": ("claude/any", {"metadata": {"user_id": "{}"}}),
    "native": ("claude/any", {"metadata": {"user_id": "{}", "session": "s"}}),
}


def asked_by(who: str, more: Any) -> Any:
    return {name: value.format(who) if isinstance(value, str) else asked_by(who, value) for name, value in more.items()}


def ask(gateway: GatewayServer, dialect: str, who: str, key: str, once: str, **more: Any) -> Answer:
    model, named = ASKED[dialect]
    asked = {**asked_by(who, named), **more}
    return gateway.client(dialect, key).ask(asked.pop("model", model), f"secret of {who}", headers={"idempotency-key": once}, **asked)


def kept() -> str:
    """All that the tables of the gateway hold, with every ciphertext opened."""
    from llm_gateway.actions.rotate_encryption import COLUMNS

    found = []
    for model in apps.get_app_config("llm_gateway").get_models():
        names = [field.attname for field in model._meta.concrete_fields if not isinstance(field, models.BinaryField)]
        found += [str(row) for row in model._default_manager.values_list(*names)]
    for column in COLUMNS:
        for row in column.rows():
            plain = column.opened(row)
            if isinstance(plain, bytes):
                found.append(plain.decode())
                continue
            found.append(plain)
            try:
                found.append(zlib.decompress(base64.b85decode(plain)).decode())
            except (ValueError, zlib.error):
                continue
    return "\n".join(found)


@pytest.fixture
def key(gateway: GatewayServer) -> str:
    from llm_gateway.models import Team

    team, _ = Team.objects.get_or_create(slug="keepers", defaults={"name": "Keepers", "bodies": "full"})
    return gateway.issue(f"keeper {uuid4()}", team=team)


def test_a_subject_is_erased_everywhere_and_nobody_else(gateway: GatewayServer, key: str) -> None:
    from llm_gateway.actions.purge import erase_subject
    from llm_gateway.models import Attempt, Budget, IdempotencyRecord, LedgerEntry, RequestBody, RequestLog, StoredResponse

    who, other = f"alice-{uuid4()}", f"bob-{uuid4()}"
    onces = {(dialect, one): str(uuid4()) for dialect in ASKED for one in (who, other)}
    answers = {pair: ask(gateway, pair[0], pair[1], key, once) for pair, once in onces.items()}
    assert {answer.status for answer in answers.values()} == {200}
    failed = ask(gateway, "openai_chat", who, key, str(uuid4()), model="chat/fault:status:400")
    gateway.row(failed)
    Attempt.objects.filter(request_id=failed.request_id).update(detail=f"you said: secret of {who}")
    rows = [gateway.row(answer).pk for answer in answers.values()]
    until(lambda: StoredResponse.objects.filter(request_id__in=rows).count() == 2)
    until(lambda: not IdempotencyRecord.objects.filter(request_id__in=rows, state="running").exists())
    before = kept()
    assert f"secret of {who}" in before
    assert f"secret of {other}" in before
    figures = [
        list(Budget.objects.order_by("pk").values_list("posted_nusd", "held_nusd")),
        list(LedgerEntry.objects.order_by("pk").values_list("state", "amount_nusd")),
        list(RequestLog.objects.order_by("pk").values_list("pk", "state", "cost_nusd", "input_tokens", "output_tokens")),
    ]

    assert erase_subject(who) == len(ASKED) + 1

    after = kept()
    assert who not in after
    assert after.count(other) == before.count(other)
    assert RequestBody.objects.filter(request_id__in=rows).count() == len(ASKED)
    assert figures == [
        list(Budget.objects.order_by("pk").values_list("posted_nusd", "held_nusd")),
        list(LedgerEntry.objects.order_by("pk").values_list("state", "amount_nusd")),
        list(RequestLog.objects.order_by("pk").values_list("pk", "state", "cost_nusd", "input_tokens", "output_tokens")),
    ]
    for dialect in ASKED:
        again = ask(gateway, dialect, who, key, onces[dialect, who])
        assert (again.status, again.code) == (409, "idempotency_unknown_outcome"), dialect
        assert ask(gateway, dialect, other, key, onces[dialect, other]).body == answers[dialect, other].body
    for one, status in ((who, 404), (other, 200)):
        place = f"/v1/responses/{answers['openai_responses', one].json['id']}"
        assert gateway.http.get(place, headers={"authorization": f"Bearer {key}"}).status_code == status
    # The repeats were refused, and their rows named her again.
    erase_subject(who)
    assert who not in kept()


def test_a_team_that_keeps_nothing_does_not_keep_whom_it_asked_for(gateway: GatewayServer) -> None:
    from llm_gateway.models import Team

    silent = gateway.issue("silent one", team=Team.objects.create(name="Silent one", slug="silent-one", bodies="off"))
    for dialect in ("openai_chat", "openai_responses", "anthropic_messages"):
        assert gateway.row(ask(gateway, dialect, "carol", silent, str(uuid4()))).metadata is None


def test_a_name_of_any_length_is_kept_in_part_and_found_by_the_whole(gateway: GatewayServer, key: str) -> None:
    from llm_gateway.actions.purge import erase_subject

    who = f"{uuid4()}" * 30
    row = gateway.row(ask(gateway, "openai_chat", who, key, str(uuid4())))
    assert len(row.metadata["user_id"]) == 512
    assert erase_subject(who) == 1
