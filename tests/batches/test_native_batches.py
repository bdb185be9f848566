"""Bulk generation of code in the gateway's own shape."""

from __future__ import annotations

import io
import json
import time
import zipfile
from typing import Any

from .conftest import Lane, chat

PATH = "/api/ai-models/batches"


def ended(lane: Lane, batch: str, within_s: float = 20) -> Any:
    until = time.monotonic() + within_s
    while True:
        found = lane.get(f"{PATH}/{batch}").json()
        if found["status"] in ("completed", "failed", "expired", "cancelled"):
            return found
        assert time.monotonic() < until, found
        time.sleep(0.02)


def test_a_prompt_with_fields_and_rows_becomes_results_and_a_zip_of_code(lane: Lane) -> None:
    made = lane.post(
        PATH,
        json={
            "prompt": "Write {what} in {language}; keep {{braces}}.",
            "rows": [{"what": "slugify"}, {"what": "x", "custom_id": "../../etc/passwd"}, {"what": "y", "custom_id": "con.txt"}],
            "defaults": {"language": "python", "model": "chat/echo", "max_tokens": 200},
            "name": "helpers",
        },
    )
    assert made.status_code == 200, made.text
    batch = made.json()
    assert batch["counts"] == {"total": 3, "queued": 3, "running": 0, "completed": 0, "failed": 0, "expired": 0, "cancelled": 0}
    assert (batch["status"], batch["dialect"], batch["pause_reason"]) == ("in_progress", "native", None)
    assert float(batch["estimate"]["worst"]["amount"]) >= float(batch["estimate"]["expected"]["amount"]) > 0
    assert lane.get(f"{PATH}/{batch['id']}/results").json() == {"results": [], "next": 0}
    with lane.runner():
        last = ended(lane, batch["id"])
    assert last["counts"]["completed"] == 3
    assert float(last["cost"]["amount"]) > 0
    first = lane.get(f"{PATH}/{batch['id']}/results?limit=2").json()
    assert [(one["line"], one["custom_id"], one["status"]) for one in first["results"]] == [
        (1, "row-1", "completed"),
        (2, "../../etc/passwd", "completed"),
    ]
    assert first["next"] == 2
    second = lane.get(f"{PATH}/{batch['id']}/results?after=2").json()
    assert ([one["custom_id"] for one in second["results"]], second["next"]) == (["con.txt"], None)
    assert {"content", "code_blocks", "usage", "cost"} <= second["results"][0]["response"].keys()
    lines = lane.gateway.http.get(
        f"{PATH}/{batch['id']}/results", headers=lane._headers | {"Accept": "application/x-ndjson"}
    ).text.splitlines()
    assert [json.loads(line)["line"] for line in lines] == [1, 2, 3]
    sent = [entry for entry in lane.gateway.received() if "slugify" in json.dumps(entry.get("body"))]
    assert "Write slugify in python; keep {braces}." in json.dumps(sent[-1]["body"])
    with zipfile.ZipFile(io.BytesIO(lane.get(f"{PATH}/{batch['id']}/files.zip").content)) as archive:
        assert archive.testzip() is None
        for name in archive.namelist():
            assert "/" not in name
            assert ".." not in name
            assert not name.lower().startswith("con.")


def test_requests_of_both_kinds_run_and_bad_ones_are_told_by_number_and_field(lane: Lane) -> None:
    requests = [
        {"custom_id": "g", "prompt": "Say hello.", "model": "chat/echo"},
        {"custom_id": "a", "kind": "analyze", "code": "x = 1\n", "model": "chat/echo"},
        {"custom_id": "b", "prompt": "Say hello.", "model": "chat/echo", "temperature": 9},
    ]
    batch = lane.post(PATH, json={"requests": requests}).json()
    with lane.runner():
        last = ended(lane, batch["id"])
    results = {one["custom_id"]: one for one in lane.get(f"{PATH}/{batch['id']}/results").json()["results"]}
    assert results["g"]["status"] == "completed"
    assert results["a"]["status"] == "completed" or results["a"]["error"]["code"] == "invalid_model_output"
    assert results["b"]["error"]["code"] == "invalid_request"
    assert "temperature" in results["b"]["error"]["message"]
    assert last["counts"]["total"] == 3
    for body, words in (
        ({}, "Send one of"),
        ({"requests": requests, "rows": []}, "Send one of"),
        ({"rows": [{"a": 1}]}, "`prompt` is missing"),
        ({"prompt": "{a} {b}", "rows": [{"a": 1, "b": 2}, {"a": 1}]}, "Row 2 has no value for the field `b`"),
        ({"prompt": "p", "rows": [{"stream": True}]}, "Row 1, `stream`"),
        ({"requests": [requests[0], {**requests[0], "custom_id": "z", "stream": True}]}, "Request 2, `stream`"),
        ({"requests": [{"custom_id": "x"}]}, "Request 1, `prompt`"),
        ({"requests": []}, "no requests"),
        ({"requests": requests, "on_budget": "perhaps"}, "on_budget"),
    ):
        refused = lane.post(PATH, json=body)
        assert refused.status_code == 400, (body, refused.text)
        assert words in refused.json()["error"]["message"], refused.text


def test_a_line_that_asks_for_its_score_gets_what_a_live_call_gets(lane: Lane) -> None:
    from llm_gateway.models import AnswerScore, RequestLog

    asked = {"prompt": "```python\ndef f(x:\n```", "model": "chat/echo", "language": "python", "max_tokens": 50}
    live = lane.post("/api/ai-models/generate", json={**asked, "score": True}).json()["quality"]
    assert {one["name"] for one in live["scorers"]} >= {"structure"}
    requests = [{"custom_id": "scored", **asked, "score": True}, {"custom_id": "plain", **asked}, {"custom_id": "odd", **asked, "score": 7}]
    batch = lane.post(PATH, json={"requests": requests}).json()
    with lane.runner():
        ended(lane, batch["id"])
    results = {one["custom_id"]: one for one in lane.get(f"{PATH}/{batch['id']}/results").json()["results"]}
    assert results["scored"]["response"]["quality"] == live
    assert "quality" not in results["plain"]["response"]
    assert (results["odd"]["status"], results["odd"]["error"]["code"]) == ("failed", "invalid_request")
    row = RequestLog.objects.get(pk=results["scored"]["response"]["id"])
    until = time.monotonic() + 5
    while not AnswerScore.objects.filter(request_id=row.pk).exists():
        assert time.monotonic() < until
        time.sleep(0.02)
    assert AnswerScore.objects.get(request_id=row.pk).score == live["score"]


def test_failed_requests_run_again_on_demand_and_batches_of_every_dialect_are_found_here(lane: Lane) -> None:
    lane.gateway.program("once", "status:400")
    batch = lane.create([chat(1), chat(2, "chat/once")]).json()["id"]
    assert lane.post(f"{PATH}/{batch}/retry-failed").status_code == 409
    with lane.runner():
        assert lane.ended(batch)["request_counts"] == {"total": 2, "completed": 1, "failed": 1}
        before = lane.get(f"{PATH}/{batch}").json()["cost"]
        again = lane.post(f"{PATH}/{batch}/retry-failed").json()
        assert again["counts"]["completed"] == 1
        assert lane.ended(batch)["request_counts"] == {"total": 2, "completed": 2, "failed": 0}
    after = lane.get(f"{PATH}/{batch}").json()
    assert float(after["cost"]["amount"]) > float(before["amount"])
    assert lane.ended(batch)["error_file_id"] is None
    assert lane.post(f"{PATH}/{batch}/retry-failed").status_code == 409
    assert after["dialect"] == "openai"
    assert batch in [one["id"] for one in lane.get(PATH).json()["batches"]]
    stranger = Lane(lane.gateway, lane.gateway.issue("stranger to batches"))
    for one in (batch, "batch_" + "0" * 32):
        asked = [
            stranger.get(f"{PATH}/{one}"), stranger.get(f"{PATH}/{one}/results"), stranger.get(f"{PATH}/{one}/files.zip"),
            stranger.post(f"{PATH}/{one}/cancel"), stranger.post(f"{PATH}/{one}/retry-failed"), stranger.delete(f"{PATH}/{one}"),
        ]  # fmt: skip
        assert [answer.status_code for answer in asked] == [404] * 6
    assert stranger.get(PATH).json()["batches"] == []
    assert lane.delete(f"{PATH}/{batch}").json() == {"id": batch, "deleted": True}
    assert lane.get(f"{PATH}/{batch}").status_code == 404
