"""Gemini's batches and files as google-genai sees them."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from .conftest import Lane


@pytest.mark.parametrize("version", ["v1beta", "v1"])
def test_an_unmodified_google_sdk_uploads_creates_polls_reads_cancels_and_deletes(lane: Lane, tmp_path: Path, version: str) -> None:
    from google import genai
    from google.genai import errors, types

    client = genai.Client(api_key=lane.key, http_options={"base_url": lane.gateway.url, "api_version": version})

    def ended(name: str) -> Any:
        until = time.monotonic() + 20
        while (found := client.batches.get(name=name)).state.name in ("JOB_STATE_PENDING", "JOB_STATE_RUNNING"):
            assert time.monotonic() < until, found
            time.sleep(0.05)
        return found

    file = tmp_path / "in.jsonl"
    request = {"contents": [{"role": "user", "parts": [{"text": "say it"}]}], "generationConfig": {"maxOutputTokens": 8}}
    # Larger than one piece of the SDK's.
    with file.open("w") as out:
        for number in range(1, 4):
            out.write(json.dumps({"key": f"k{number}", "request": request}) + "\n")
        out.write(" " * (9 << 20) + "\n")
    sent = client.files.upload(file=str(file), config=types.UploadFileConfig(display_name="three", mime_type="jsonl"))
    assert (sent.size_bytes, sent.display_name) == (file.stat().st_size, "three")
    job = client.batches.create(model="gem/echo", src=sent.name, config={"display_name": "job"})
    inline = client.batches.create(
        model="gem/echo",
        src=[{"contents": [{"role": "user", "parts": [{"text": f"say {n}"}]}], "metadata": {"key": f"i{n}"}} for n in (1, 2)],
    )
    with lane.runner():
        job, inline = ended(job.name), ended(inline.name)
        assert (job.state.name, job.display_name, inline.state.name) == ("JOB_STATE_SUCCEEDED", "job", "JOB_STATE_SUCCEEDED")
        lines = client.files.download(file=job.dest.file_name).decode().splitlines()
        assert [json.loads(line)["key"] for line in lines] == ["k1", "k2", "k3"]
        assert json.loads(lines[0])["response"]["candidates"][0]["content"]["parts"][0]["text"]
        answers = inline.dest.inlined_responses
        assert [one.response.text is not None for one in answers] == [True, True]
        assert [one.metadata["key"] for one in answers] == ["i1", "i2"]
    second = client.batches.create(model="gem/echo", src=[{"contents": [{"role": "user", "parts": [{"text": "x"}]}]}])
    client.batches.cancel(name=second.name)
    assert ended(second.name).state.name == "JOB_STATE_CANCELLED"
    assert {job.name, inline.name} <= {one.name for one in client.batches.list(config={"page_size": 50})}
    stranger = genai.Client(
        api_key=lane.gateway.issue(f"stranger to gemini {version}"), http_options={"base_url": lane.gateway.url, "api_version": version}
    )
    for name in (job.name, "batches/" + "0" * 32):
        with pytest.raises(errors.ClientError) as refused:
            stranger.batches.get(name=name)
        assert refused.value.code == 404
    for name in (sent.name, "files/" + "0" * 32):
        with pytest.raises(errors.ClientError) as refused:
            stranger.files.get(name=name)
        assert refused.value.code == 404
    client.batches.delete(name=job.name)
    client.files.delete(name=sent.name)
    with pytest.raises(errors.ClientError):
        client.files.get(name=sent.name)


def test_texts_are_embedded_in_a_batch(lane: Lane) -> None:
    requests = [{"request": {"content": {"parts": [{"text": text}]}}} for text in ("one", "two")]
    body = {"batch": {"displayName": "e", "inputConfig": {"requests": {"requests": requests}}}}
    made = lane.post("/v1beta/models/gem/embed:asyncBatchEmbedContent", json=body)
    assert made.status_code == 200, made.text
    name = made.json()["name"]
    with lane.runner():
        until = time.monotonic() + 20
        while not (found := lane.get(f"/v1beta/{name}").json())["done"]:
            assert time.monotonic() < until
            time.sleep(0.05)
    answers = found["metadata"]["output"]["inlinedEmbedContentResponses"]["inlinedResponses"]
    assert [len(one["response"]["embedding"]["values"]) > 0 for one in answers] == [True, True]


def test_nobody_uploads_to_an_address_that_was_not_given_out(lane: Lane) -> None:
    headers = {"x-goog-upload-command": "upload, finalize", "x-goog-upload-offset": "0"}
    for token in ("0" * 64, "x", "0" * 32):
        answer = lane.gateway.http.post(f"/upload/v1beta/files/{token}", headers=headers, content=b"x")
        assert answer.status_code == 404
    begun = lane.gateway.http.post("/upload/v1beta/files", headers={"x-goog-upload-command": "start"}, json={"file": {}})
    assert begun.status_code == 401
    begun = lane.post("/upload/v1beta/files", json={"file": {}})
    assert begun.status_code == 400
    where = lane.gateway.http.post(
        "/upload/v1beta/files", headers=lane._headers | {"x-goog-upload-command": "start"}, json={"file": {"displayName": "n"}}
    ).headers["x-goog-upload-url"]
    # Whoever knows the id of an upload still lacks its proof.
    place, _, token = where.rpartition("/")
    for forged in (token[:32] + "0" * (len(token) - 32), token[:-1] + ("0" if token[-1] != "0" else "1"), token[:32]):
        assert lane.gateway.http.post(f"{place}/{forged}", headers=headers, content=b"x").status_code == 404
    wrong = lane.gateway.http.post(where, headers=headers | {"x-goog-upload-offset": "7"}, content=b"x")
    assert wrong.status_code == 400
    assert lane.gateway.http.post(where, headers=headers, content=b"x").headers["x-goog-upload-status"] == "final"
    assert lane.gateway.http.post(where, headers=headers, content=b"x").status_code == 404
