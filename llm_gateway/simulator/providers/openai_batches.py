"""OpenAI's files and batches: https://platform.openai.com/docs/api-reference/batch and …/files (read 2026-12-01)."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec

from llm_gateway.simulator import ids
from llm_gateway.simulator.batches import Answered, Asked, Job, StoredFile
from llm_gateway.simulator.call import Call, Handler
from llm_gateway.simulator.http11 import Request
from llm_gateway.simulator.reply import Problem, Reply, dump, json_reply

Execute = Callable[[Call, Request], Reply]
ENDPOINTS = ("/v1/chat/completions", "/v1/responses", "/v1/embeddings")
_STATE = {"running": "in_progress", "ended": "completed", "invalid": "failed", "expired": "expired", "cancelled": "cancelled"}
_EXPIRED = "This request could not be executed before the completion window expired."


def route(call: Call, execute: Execute) -> Handler:
    """Raises Problem."""
    method = call.request.method
    what, _, rest = call.path.strip("/").partition("/")
    name, _, verb = rest.partition("/")
    match method, what, bool(name), verb:
        case "POST", "files", False, "":
            return _upload
        case "GET", "files", True, "":
            return lambda call: json_reply(_described(call.state.batches.file(call, name)))
        case "GET", "files", True, "content":
            return partial(_content, name)
        case "DELETE", "files", True, "":
            return partial(_delete, name)
        case "POST", "batches", False, "":
            return _create
        case "GET", "batches", False, "":
            return _list
        case "GET", "batches", True, "":
            return partial(_look, name, execute)
        case "POST", "batches", True, "cancel":
            return partial(_cancel, name)
    raise Problem("unknown_path", f"{method} {call.request.path}")


def _upload(call: Call) -> Reply:
    fields = _form(call.request)
    if fields.get("purpose", ("", b""))[1] != b"batch" or "file" not in fields:
        raise Problem("bad_request", "'purpose' and 'file' are required.", "purpose")
    name, data = fields["file"]
    return call.state.batches.called("upload", lambda: json_reply(_described(call.state.batches.store(call, name, data))))


def _form(request: Request) -> dict[str, tuple[str, bytes]]:
    found = re.search(r'boundary="?([^";]+)', request.headers.get("content-type", ""))
    if found is None:
        raise Problem("bad_request", "Expected multipart/form-data.")
    fields: dict[str, tuple[str, bytes]] = {}
    for part in request.body.split(b"--" + found[1].encode())[1:-1]:
        head, _, data = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        said = head.decode("utf-8", "replace")
        name = re.search(r'\bname="([^"]*)"', said)
        file = re.search(r'\bfilename="([^"]*)"', said)
        if name is not None:
            fields[name[1]] = (file[1] if file else "", data.removesuffix(b"\r\n"))
    return fields


def _described(file: StoredFile) -> dict[str, Any]:
    return {
        "id": file.id, "object": "file", "bytes": len(file.data), "created_at": int(file.created), "filename": file.name,
        "purpose": "batch", "status": "processed", "expires_at": None,
    }  # fmt: skip


def _content(name: str, call: Call) -> Reply:
    file = call.state.batches.file(call, name)
    return call.state.batches.called("download", lambda: Reply(body=file.data, content_type="application/octet-stream"))


def _delete(name: str, call: Call) -> Reply:
    del call.state.batches.files[call.state.batches.file(call, name).id]
    return json_reply({"id": name, "object": "file", "deleted": True})


def _create(call: Call) -> Reply:
    body = call.body
    if body.get("endpoint") not in ENDPOINTS or body.get("completion_window") != "24h":
        raise Problem("bad_request", "Invalid 'endpoint' or 'completion_window'.", "endpoint")
    file = call.state.batches.file(call, str(body.get("input_file_id")))
    return call.state.batches.called("create", lambda: json_reply(_shown(_made(call, file, body))))


def _made(call: Call, file: StoredFile, body: dict[str, Any]) -> Job:
    asked, models = [], set()
    wrong = ""
    for number, line in enumerate(file.data.splitlines(), 1):
        try:
            one = msgspec.json.decode(line)
            asked.append(Asked(one["custom_id"], one["url"].removeprefix("/v1"), one["body"]))
            models.add(one["body"]["model"])
            if one["method"] != "POST" or one["url"] != body["endpoint"] or one["body"].get("stream"):
                wrong = f"Line {number} has a wrong method, url or body."
        except (msgspec.DecodeError, KeyError, TypeError):
            wrong = f"Line {number} is not valid."
    if len({one.custom_id for one in asked}) < len(asked):
        wrong = "The custom_id of a line is duplicated."
    if len(models) != 1:
        wrong = "A batch has one model."
    job = call.state.batches.add(call, "batch_", str((body.get("metadata") or {}).get("cogo_shard", "")), asked)
    if wrong:
        job.fault = "invalid"
    job.extra = {"input": file.id, "metadata": body.get("metadata"), "endpoint": body["endpoint"], "why": wrong or "The file is not valid."}
    return job


def _list(call: Call) -> Reply:
    def page() -> Reply:
        jobs = [_shown(job) for job in call.state.batches.listed(call)[: int(call.request.query.get("limit", "20"))]]
        return json_reply({"object": "list", "data": jobs, "has_more": False})

    return call.state.batches.called("list", page)


def _look(name: str, execute: Execute, call: Call) -> Reply:
    batches = call.state.batches
    job = batches.of(call, name)

    def looked() -> Reply:
        if batches.looked_at(job, call, partial(execute, call)):
            _write(job, call)
        return json_reply(_shown(job))

    return batches.called("poll", looked)


def _cancel(name: str, call: Call) -> Reply:
    job = call.state.batches.of(call, name)

    def cancelled() -> Reply:
        job.cancelling = True
        return json_reply(_shown(job))

    return call.state.batches.called("cancel", cancelled)


def _write(job: Job, call: Call) -> None:
    """The files of results: what went well, and what did not."""
    parts = {"output": [one for one in job.answers if one.status == 200], "error": [one for one in job.answers if one.status != 200]}
    for part, answers in parts.items():
        if data := b"".join(dump(_line(one)) + b"\n" for one in answers if one.state != "cancelled"):
            job.files[part] = call.state.batches.store(call, f"{job.id}_{part}.jsonl", data).id


def _line(one: Answered) -> dict[str, Any]:
    line: dict[str, Any] = {"id": f"batch_req_{ids.hexed(24)}", "custom_id": one.custom_id, "response": None, "error": None}
    if one.state == "expired":
        line["error"] = {"code": "batch_expired", "message": _EXPIRED}
    else:
        line["response"] = {"status_code": one.status, "request_id": ids.hexed(32), "body": one.body}
    return line


def _shown(job: Job) -> dict[str, Any]:
    errors = None
    if job.state == "invalid":
        errors = {"object": "list", "data": [{"code": "invalid_request", "message": job.extra["why"], "param": None, "line": 1}]}
    done = job.count("done", well=True)
    return {
        "id": job.id,
        "object": "batch",
        "endpoint": job.extra["endpoint"],
        "errors": errors,
        "input_file_id": job.extra["input"],
        "completion_window": "24h",
        "status": "cancelling" if job.cancelling and job.state == "running" else _STATE[job.state],
        "output_file_id": job.files.get("output"),
        "error_file_id": job.files.get("error"),
        "created_at": int(job.created),
        "request_counts": {"total": len(job.asked), "completed": done, "failed": job.count("done") - done},
        "metadata": job.extra["metadata"],
    }
