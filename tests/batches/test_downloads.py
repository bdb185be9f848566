"""Results as files for the console: complete, in order, for whoever may read texts, and written down."""

from __future__ import annotations

import io
import json
import zipfile
from uuid import UUID

import httpx
import pytest

from .conftest import Lane
from .test_native_batches import PATH, ended


def browser(lane: Lane, *rights: str) -> httpx.Client:
    from django.contrib.auth.models import Permission, User
    from django.test import Client

    user, _ = User.objects.get_or_create(username=f"downloads {len(rights)}", defaults={"is_staff": True})
    user.user_permissions.set(Permission.objects.filter(codename__in=rights))
    client = Client()
    client.force_login(user)
    return httpx.Client(base_url=lane.gateway.url, cookies={"sessionid": client.cookies["sessionid"].value}, timeout=30, trust_env=False)


def test_downloads_are_whole_for_whoever_may_read_texts_and_in_the_trail(lane: Lane, monkeypatch: pytest.MonkeyPatch) -> None:
    from llm_gateway.models import AuditEntry
    from llm_gateway.stores import batch_results

    monkeypatch.setattr(batch_results, "PAGE", 7)
    lane.gateway.program("refused", "status:400")
    prompt = {"prompt": "```python\nx = 1\n```", "model": "chat/echo", "max_tokens": 50}
    requests = [{"custom_id": f"c{n}", **prompt} for n in range(1, 31)]
    requests[1]["model"] = "chat/refused"
    batch = lane.post(PATH, json={"requests": requests}).json()["id"]
    with lane.runner():
        ended(lane, batch, 60)
    pk = UUID(batch.removeprefix("batch_"))
    page = f"/admin/llm_gateway/batch/{pk}"
    before = AuditEntry.objects.filter(action="read texts").count()
    with browser(lane, "view_batch", "view_requestbody") as reader:
        found = [json.loads(line) for line in reader.get(f"{page}/results.jsonl").text.splitlines()]
        assert [one["custom_id"] for one in found] == [f"c{n}" for n in range(1, 31) if n != 2]
        wrong = [json.loads(line) for line in reader.get(f"{page}/errors.jsonl").text.splitlines()]
        assert [one["custom_id"] for one in wrong] == ["c2"]
        sent = reader.get(f"{page}/code.zip")
        assert sent.headers["content-disposition"] == f'attachment; filename="{batch}-code.zip"'
        with zipfile.ZipFile(io.BytesIO(sent.content)) as archive:
            assert archive.testzip() is None
        assert reader.post(f"{page}/results.jsonl").status_code in (403, 405)
        assert reader.get(f"/admin/llm_gateway/batch/{UUID(int=1)}/results.jsonl").status_code in (403, 404)
        assert "results.jsonl" in reader.get(f"{page}/change/", follow_redirects=True).text
    told = AuditEntry.objects.filter(action="read texts").order_by("-pk")[:3]
    assert AuditEntry.objects.filter(action="read texts").count() == before + 3
    assert {one.detail for one in told} == {f"Downloaded {name}." for name in ("results.jsonl", "errors.jsonl", "code.zip")}
    assert {one.actor for one in told} == {"downloads 2"}
    with browser(lane, "view_batch") as viewer:
        for name in ("results.jsonl", "errors.jsonl", "code.zip"):
            assert viewer.get(f"{page}/{name}").status_code == 403
        assert "results.jsonl" not in viewer.get(f"{page}/change/", follow_redirects=True).text
    assert AuditEntry.objects.filter(action="read texts").count() == before + 3
    assert lane.gateway.http.get(f"{page}/results.jsonl").status_code == 302
    assert lane.get(f"{page}/results.jsonl").status_code == 302
