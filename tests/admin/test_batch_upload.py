"""A batch from a file: looked at before anything is sent, started once, under a client key whose rights hold."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone

from llm_gateway.models import AuditEntry, Batch, ClientKey, FileChunk, StoredFile
from tests.analytics import factories

from .conftest import signed_in

pytestmark = pytest.mark.django_db
NEW = "/admin/llm_gateway/batch/new/"
TABLE = b"what,language\nslugify,Python\nchunked,Go\n"
ASK = {"prompt": "Write {what} in {language}.", "model": "kimi-k3", "max_tokens": "100", "on_budget": "pause"}


@pytest.fixture
def key(db: None) -> ClientKey:
    factories.catalogue()
    return factories.client_key("bulk", scopes=["generate"])


def look(client: Client, key: ClientKey, data: bytes = TABLE, name: str = "names.csv", **more: Any) -> str:
    sent = {"file": SimpleUploadedFile(name, data), "key": key.public_id, **ASK, **more}
    answer = client.post(NEW, {field: value for field, value in sent.items() if value is not None})
    assert answer.status_code == 200
    assert "no-store" in answer["cache-control"]
    return answer.content.decode()


def token_of(page: str, field: str = "token") -> str:
    found = re.search(rf'name="{field}" value="([^"]*)"', page)
    return found[1] if found else ""


def test_a_table_is_shown_with_its_cost_and_started_once(key: ClientKey) -> None:
    operator = signed_in("operator")
    assert "New batch from a file" in operator.get("/admin/llm_gateway/batch/").content.decode()
    assert "bulk" in operator.get(NEW).content.decode()
    page = look(operator, key, title="Helpers")
    assert "names.csv is ready" in page
    assert "Write slugify in Python." in page
    assert re.search(r"about \$0\.\d+", page)
    assert not Batch.objects.exists()
    token = token_of(page)
    for _ in range(2):
        answer = operator.post(f"{NEW}start/", {"token": token})
        batch = Batch.objects.get()
        assert answer["location"].endswith(f"/{batch.pk}/change/")
    assert (batch.client_key, batch.title, batch.total, batch.state, batch.dialect) == (key, "Helpers", 2, "in_progress", "native")
    assert batch.worst_nusd > batch.estimate_nusd > 0
    assert "Started from an upload" in AuditEntry.objects.get(noun="llm_gateway.batch").detail
    assert StoredFile.objects.get() == batch.input, "what was uploaded itself is gone"
    assert batch.input.expires_at > batch.created_at + (batch.ends_at - batch.created_at)


def test_faults_are_told_by_line_and_nothing_is_kept_that_could_start(key: ClientKey) -> None:
    operator = signed_in("operator")
    page = look(operator, key, b"what,language\na,b,c\nx,Go\n")
    assert "cannot be started yet" in page
    assert "The row has 3 cells" in page
    assert not token_of(page)
    assert "no such column" in look(operator, key, prompt="{nothing}")
    lines = [{"custom_id": "a", "prompt": "x"}, {"custom_id": "a", "prompt": "y"}, {"prompt": " "}, {"prompt": "x", "stream": True}]
    told = look(operator, key, b"\n".join(json.dumps(one).encode() for one in lines), "in.jsonl")
    for sentence in ("names an earlier request", "missing or blank", "cannot stream"):
        assert sentence in told
    assert "has no requests" in look(operator, key, b"\n\n", "in.jsonl")
    assert "first line has to name" in look(operator, key, b"\n", "in.csv")
    assert "Choose a file" in look(operator, key, file=None)
    assert not Batch.objects.exists()


def test_the_same_upload_is_looked_at_again_with_another_form(key: ClientKey) -> None:
    operator = signed_in("operator")
    upload = token_of(look(operator, key), "upload")
    page = look(operator, key, file=None, upload=upload, prompt="Only {what}.", model="strategy:enterprise", score="on", language="go")
    assert "Only slugify." in page
    operator.post(f"{NEW}start/", {"token": token_of(page)})
    batch = Batch.objects.get()
    assert set(batch.lines.values_list("model", flat=True)) == {"strategy:enterprise"}
    # Another account, a changed token and none at all find nothing.
    other = signed_in("boss", is_superuser=True)
    for client, token in ((other, upload), (operator, upload[:-1] + "x"), (operator, "x")):
        assert "The upload is gone" in look(client, key, file=None, upload=token)
        client.post(f"{NEW}start/", {"token": token})
    assert Batch.objects.count() == 1


def test_a_large_file_comes_in_parts_of_which_none_counts_twice(key: ClientKey) -> None:
    operator = signed_in("operator")
    data = b"prompt\n" + b"".join(b"%d %s\n" % (n, b"x" * 1000) for n in range(600))
    step, token, at = 256 << 10, "", 0
    while at < len(data):
        part = {"at": at, "data": SimpleUploadedFile("part", data[at : at + step]), "name": "big.csv"}
        sent = {**part, **({"upload": token} if token else {"key": key.public_id})}
        answer = operator.post(f"{NEW}part/", sent)
        assert answer.status_code == 200, answer.content
        if token:  # a browser that lost the answer sends the part again
            part["data"] = SimpleUploadedFile("part", data[at : at + step])
            assert operator.post(f"{NEW}part/", {**sent, **part}).json()["bytes"] == answer.json()["bytes"]
        token, at = answer.json()["upload"], answer.json()["bytes"]
    assert FileChunk.objects.count() == 3
    page = look(operator, key, file=None, upload=token, prompt="")
    assert "big.csv is ready" in page
    assert "Start 600 requests" in page
    for wrong in (
        {"at": 10**8, "upload": token},
        {"at": len(data), "upload": token},
        {"at": "x", "upload": token},
        {"at": 0, "key": "nobody"},
        {"at": 0, "upload": "x"},
    ):
        told = operator.post(f"{NEW}part/", {**wrong, "data": SimpleUploadedFile("part", b"x")})
        assert 400 <= told.status_code < 500
        assert told.json()["error"]


def test_a_key_s_rights_and_the_roles_hold(key: ClientKey) -> None:
    operator = signed_in("operator")
    token = token_of(look(operator, key))
    reader = factories.client_key("reads only", scopes=["read"])
    assert "Select a valid choice" in look(operator, reader)
    ClientKey.objects.filter(pk=key.pk).update(addresses=["203.0.113.0/24"])
    assert "may not be used from your address" in look(operator, key)
    ClientKey.objects.filter(pk=key.pk).update(addresses=[], revoked_at=timezone.now())
    assert "Nothing was started" in operator.post(f"{NEW}start/", {"token": token}, follow=True).content.decode()
    ClientKey.objects.filter(pk=key.pk).update(revoked_at=None)
    for role in ("viewer", "finance", "auditor"):
        client = signed_in(role)
        assert client.get(NEW).status_code == 403
        for page in ("", "part/", "start/"):
            assert client.post(f"{NEW}{page}", {"token": token, "at": 0, "key": key.public_id}).status_code == 403
        assert "New batch from a file" not in client.get("/admin/llm_gateway/batch/").content.decode()
    assert not Batch.objects.exists()


def test_lines_of_other_dialects_are_taken_as_they_are(key: ClientKey) -> None:
    operator = signed_in("operator")
    body = {"model": "kimi-k3", "max_tokens": 5, "messages": [{"role": "user", "content": "said so"}]}
    openai = {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": body}
    gemini = {"key": "a", "request": {"contents": [{"parts": [{"text": "said so"}]}]}}
    for line, dialect in ((openai, "openai"), ({"custom_id": "a", "params": body}, "anthropic"), (gemini, "gemini")):
        page = look(operator, key, json.dumps(line).encode(), "in.jsonl")
        assert "said so" in page
        operator.post(f"{NEW}start/", {"token": token_of(page)})
        batch = Batch.objects.get(dialect=dialect)
        assert (batch.state, batch.total, batch.lines.get().model) == ("in_progress", 1, "kimi-k3")


def test_the_worst_cost_is_that_of_the_dearest_target_that_may_answer(key: ClientKey) -> None:
    from llm_gateway.actions.upload_batch import identity_of, snapshot_now
    from llm_gateway.engine.resolve import resolve
    from llm_gateway.stores.batch_reading import Prices
    from llm_gateway.wires._batch import Item

    snapshot = snapshot_now()
    identity = identity_of(snapshot, key.public_id)

    def costs(model: str) -> tuple[int, int]:
        prices = Prices(snapshot, identity, "standard")
        prices.add(Item(custom_id="c", kind="generate", model=model, body=b"x" * 900, max_tokens=1000), model)
        assert prices.worst is not None
        assert prices.expected is not None
        return prices.expected, prices.worst

    targets = resolve(snapshot, identity, "auto", None).targets
    names = {target.model.name for target in targets if target.model.rates}
    assert len(names) > 1
    assert len(names) < len(targets), "one of them has no price, and is not asked"
    each = [costs(name) for name in names]
    assert costs("auto") == (sum(low for low, _ in each) // len(each), max(high for _, high in each))
    assert costs("auto")[1] > min(high for _, high in each)
