"""Files and batches as OpenAI's SDK and plain HTTP see them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from .conftest import Lane, chat


def test_a_batch_is_executed_line_by_line_and_its_results_stand_in_the_order_of_its_lines(lane: Lane) -> None:
    lines = [chat(n, "chat/echo" if n % 5 else "chat/fault:status:400") for n in range(1, 31)]
    made = lane.create(lines, metadata={"job": "nightly"})
    assert made.status_code == 200, made.text
    batch = made.json()
    assert batch["status"] == "in_progress"
    assert batch["request_counts"] == {"total": 30, "completed": 0, "failed": 0}
    with lane.runner():
        ended = lane.ended(batch["id"])
    assert ended["status"] == "completed"
    assert ended["request_counts"] == {"total": 30, "completed": 24, "failed": 6}
    good, bad = lane.results(ended), lane.results(ended, "error_file_id")
    assert [one["custom_id"] for one in good] == [f"c{n}" for n in range(1, 31) if n % 5]
    assert [one["custom_id"] for one in bad] == [f"c{n}" for n in range(5, 31, 5)]
    assert {one["response"]["status_code"] for one in bad} == {400}


def test_an_unmodified_openai_sdk_uploads_creates_polls_reads_cancels_and_deletes(lane: Lane) -> None:
    import io

    import openai

    with openai.OpenAI(base_url=f"{lane.gateway.url}/v1", api_key=lane.key, max_retries=0) as client:
        data = b"\n".join(json.dumps(chat(n)).encode() for n in range(1, 4))
        file = client.files.create(file=("in.jsonl", io.BytesIO(data)), purpose="batch")
        assert (file.bytes, file.filename, file.purpose) == (len(data), "in.jsonl", "batch")
        assert client.files.content(file.id).read() == data
        assert file.id in [one.id for one in client.files.list()]
        batch = client.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h", metadata={"a": "b"})
        assert batch.output_file_id is None
        with lane.runner():
            lane.ended(batch.id)
        batch = client.batches.retrieve(batch.id)
        assert (batch.status, batch.metadata, batch.error_file_id) == ("completed", {"a": "b"}, None)
        assert batch.usage is not None
        assert batch.usage.output_tokens == 24
        assert batch.output_file_id is not None
        lines = client.files.content(batch.output_file_id).text.splitlines()
        assert [json.loads(line)["custom_id"] for line in lines] == ["c1", "c2", "c3"]
        assert client.files.retrieve(batch.output_file_id).bytes == len(client.files.content(batch.output_file_id).read())
        assert batch.id in [one.id for one in client.batches.list(limit=5)]
        second = client.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")
        assert client.files.delete(file.id).deleted
        assert client.batches.cancel(second.id).status == "cancelled"
        assert client.files.delete(batch.output_file_id).deleted
        with pytest.raises(openai.NotFoundError):
            client.files.retrieve(file.id)


def test_every_bad_line_is_told_with_its_number_and_nothing_is_sent(lane: Lane) -> None:
    good = chat(1)
    bad: list[tuple[bytes, str]] = [
        (json.dumps(good).encode(), "duplicate_custom_id"),
        (b"{not json", "invalid_json_line"),
        (b"", "blank_line"),
        (json.dumps({**good, "custom_id": ""}).encode(), "missing_required_parameter"),
        (json.dumps({**good, "custom_id": "x" * 513}).encode(), "invalid_request"),
        (json.dumps({**good, "custom_id": "m", "method": "GET"}).encode(), "invalid_method"),
        (json.dumps({**good, "custom_id": "u", "url": "/v1/embeddings"}).encode(), "invalid_url"),
        (json.dumps({**good, "custom_id": "s", "body": {**good["body"], "stream": True}}).encode(), "invalid_request"),
        (json.dumps({**good, "custom_id": "n", "body": {"messages": []}}).encode(), "invalid_request"),
        (json.dumps({**good, "custom_id": "l", "body": [1]}).encode(), "invalid_request"),
    ]
    text = b"\n".join([json.dumps(good).encode(), *[line for line, _ in bad], json.dumps(chat(2)).encode()])
    mark = lane.gateway.mark
    made = lane.create(text).json()
    assert made["status"] == "failed"
    told = {(one["line"], one["code"]) for one in made["errors"]["data"]}
    assert told == {(number, code) for number, (_, code) in enumerate(bad, 2)}
    assert all(one["message"] for one in made["errors"]["data"])
    many = lane.create(b"{\n" * 300).json()
    assert len(many["errors"]["data"]) == 100
    assert lane.create(b"\n\n").json()["errors"]["data"][0]["code"] == "empty_file"
    # Every way to end lines is read, and a mark at the beginning.
    crlf = b"\xef\xbb\xbf" + b"\r\n".join(json.dumps(chat(n)).encode() for n in (1, 2)) + b"\r\n\r\n"
    batch = lane.create(crlf).json()
    assert batch["request_counts"]["total"] == 2
    with lane.runner():
        assert lane.ended(batch["id"])["request_counts"]["completed"] == 2
    assert [one["custom_id"] for one in lane.results(lane.ended(batch["id"]))] == ["c1", "c2"]
    assert len(lane.gateway.received(mark)) == 2


def test_what_belongs_to_another_key_is_answered_as_if_it_did_not_exist(lane: Lane) -> None:
    stranger = Lane(lane.gateway, lane.gateway.issue("stranger"))
    file = lane.upload([chat(1)]).json()["id"]
    batch = lane.create([chat(1)]).json()["id"]
    nobody_file, nobody_batch = "file-" + "0" * 32, "batch_" + "0" * 32

    def same(method: str, path: str, own: str, nobody: str, **more: Any) -> None:
        asked = [getattr(stranger, method)(path.format(one), **more) for one in (own, nobody)]
        assert [one.status_code for one in asked] == [404, 404], (path, [one.text for one in asked])
        assert asked[0].json()["error"]["message"].replace(own, "") == asked[1].json()["error"]["message"].replace(nobody, "")

    for path in ("/v1/files/{}", "/v1/files/{}/content"):
        same("get", path, file, nobody_file)
    same("delete", "/v1/files/{}", file, nobody_file)
    same("get", "/v1/batches/{}", batch, nobody_batch)
    same("post", "/v1/batches/{}/cancel", batch, nobody_batch)
    for one in (file, nobody_file):
        asked = stranger.post("/v1/batches", json={"input_file_id": one, "endpoint": "/v1/chat/completions", "completion_window": "24h"})
        assert asked.status_code == 404
    assert stranger.get("/v1/files").json()["data"] == []
    assert stranger.get("/v1/batches").json()["data"] == []
    for nonsense in ("file-x", "..", "%00", "batch_" + "z" * 32):
        assert lane.get(f"/v1/files/{nonsense}").status_code == 404
        assert lane.get(f"/v1/batches/{nonsense}").status_code == 404
    assert lane.post(f"/v1/batches/{batch}/cancel").json()["status"] == "cancelled"


def test_a_bad_upload_or_create_is_told_and_leaves_nothing(lane: Lane) -> None:
    from llm_gateway.models import StoredFile

    before = StoredFile.objects.count()
    assert lane.upload([chat(1)], purpose="nonsense").status_code == 400
    assert lane.post("/v1/files", json={"purpose": "batch"}).status_code == 400
    assert lane.post("/v1/files", data={"purpose": "batch"}, files={"other": b"x"}).status_code == 400
    headers = {"content-type": "multipart/form-data; boundary=B"}
    assert lane.gateway.http.post("/v1/files", headers=lane._headers | headers, content=b"--B\r\nContent-Dis").status_code == 400
    assert StoredFile.objects.count() == before
    other = lane.upload([chat(1)], purpose="assistants").json()["id"]
    asked = {"input_file_id": other, "endpoint": "/v1/chat/completions", "completion_window": "24h"}
    for change, param in (
        ({}, "input_file_id"),
        ({"endpoint": "/v1/nothing"}, "endpoint"),
        ({"completion_window": "1h"}, "completion_window"),
        ({"input_file_id": 7}, "input_file_id"),
    ):
        refused = lane.post("/v1/batches", json=asked | change)
        assert refused.status_code == 400, refused.text
        assert refused.json()["error"]["param"] == param
    for metadata in ({"cogo_on_budget": "maybe"}, {"a": 1}, {"cogo_webhook": "https://example.test/x"}, [1]):
        assert lane.create([chat(1)], metadata=metadata).status_code == 400


def test_a_create_that_is_sent_again_gives_the_first_batch_back(lane: Lane) -> None:
    file = lane.upload([chat(1)]).json()["id"]
    asked = {"input_file_id": file, "endpoint": "/v1/chat/completions", "completion_window": "24h"}
    headers = lane._headers | {"Idempotency-Key": "nightly-1"}
    first, second = (lane.gateway.http.post("/v1/batches", headers=headers, json=asked) for _ in range(2))
    assert first.json()["id"] == second.json()["id"]
    other = lane.gateway.http.post("/v1/batches", headers=headers, json={**asked, "metadata": {"x": "y"}})
    assert other.status_code == 422
    assert lane.post(f"/v1/batches/{first.json()['id']}/cancel").status_code == 200
