"""Gemini's batches, with the requests in the call: https://ai.google.dev/api/batch-api (read 2026-12-01)."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

from llm_gateway.simulator.batches import Answered, Asked, Job
from llm_gateway.simulator.call import Call, Handler
from llm_gateway.simulator.http11 import Request
from llm_gateway.simulator.reply import Problem, Reply, json_reply

Execute = Callable[[Call, Request], Reply]
_STATE = {"running": "RUNNING", "ended": "SUCCEEDED", "invalid": "FAILED", "expired": "EXPIRED", "cancelled": "CANCELLED"}
# google/rpc/code.proto
_CODES = {"INVALID_ARGUMENT": 3, "NOT_FOUND": 5, "PERMISSION_DENIED": 7, "RESOURCE_EXHAUSTED": 8, "UNAVAILABLE": 14, "INTERNAL": 13}
_INLINE_LIMIT = 20 << 20


def route(call: Call, execute: Execute) -> Handler:
    """Raises Problem."""
    method, path = call.request.method, call.path
    name, _, verb = path.strip("/").removeprefix("batches").strip("/").partition(":")
    match method, path.startswith("/batches"), bool(name), verb:
        case "POST", False, _, _:
            return _create
        case "GET", True, False, "":
            return _list
        case "GET", True, True, "":
            return partial(_look, name, execute)
        case "POST", True, True, "cancel":
            return partial(_cancel, name)
        case "DELETE", True, True, "":
            return partial(_delete, name)
    raise Problem("unknown_path")


def _create(call: Call) -> Reply:
    batch = call.body.get("batch")
    config = (batch.get("inputConfig") or batch.get("input_config")) if isinstance(batch, dict) else None
    inline = (config.get("requests") or {}).get("requests") if isinstance(config, dict) else None
    if not isinstance(batch, dict) or not isinstance(inline, list) or not inline:
        raise Problem("bad_request", "* BatchGenerateContentRequest.batch.input_config: is not specified\n")
    if len(call.request.body) > _INLINE_LIMIT:
        raise Problem("too_large")
    model = call.path.removeprefix("/models/").removesuffix(":batchGenerateContent")
    asked = []
    for one in inline:
        if not isinstance(one, dict) or not isinstance(one.get("request"), dict):
            raise Problem("bad_request", "* requests: request is not specified\n")
        asked.append(Asked(str((one.get("metadata") or {}).get("key", "")), f"/models/{model}:generateContent", one["request"]))
    name = str(batch.get("displayName") or batch.get("display_name") or "")

    def made() -> Reply:
        job = call.state.batches.add(call, "", name, asked)
        job.id = f"b{job.id.lower()}"
        call.state.batches.jobs = {one.id: one for one in call.state.batches.jobs.values()}
        job.extra["model"] = model
        return json_reply(_shown(job))

    return call.state.batches.called("create", made)


def _list(call: Call) -> Reply:
    def page() -> Reply:
        jobs = call.state.batches.listed(call)[: int(call.request.query.get("pageSize", "50"))]
        return json_reply({"operations": [_shown(job, results=False) for job in jobs]})

    return call.state.batches.called("list", page)


def _look(name: str, execute: Execute, call: Call) -> Reply:
    batches = call.state.batches
    job = batches.of(call, name)

    def looked() -> Reply:
        batches.looked_at(job, call, partial(execute, call))
        return json_reply(_shown(job))

    return batches.called("poll", looked)


def _cancel(name: str, call: Call) -> Reply:
    job = call.state.batches.of(call, name)

    def cancelled() -> Reply:
        job.cancelling = True
        return json_reply({})

    return call.state.batches.called("cancel", cancelled)


def _delete(name: str, call: Call) -> Reply:
    call.state.batches.delete(call.state.batches.of(call, name))
    return json_reply({})


def _answer(one: Answered) -> dict[str, Any]:
    told: dict[str, Any] = {"metadata": {"key": one.custom_id}}
    if one.state != "done":
        code, word = (1, "CANCELLED") if one.state == "cancelled" else (4, "DEADLINE_EXCEEDED")
        return {**told, "error": {"code": code, "message": f"The request was not executed: {word}."}}
    if one.status == 200:
        return {**told, "response": one.body}
    error = one.body.get("error", {})
    return {**told, "error": {"code": _CODES.get(error.get("status"), 13), "message": error.get("message", "")}}


def _shown(job: Job, results: bool = True) -> dict[str, Any]:
    at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(job.created))
    done = job.count("done", well=True)
    metadata: dict[str, Any] = {
        "@type": "type.googleapis.com/google.ai.generativelanguage.v1main.GenerateContentBatch",
        "name": f"batches/{job.id}",
        "model": f"models/{job.extra.get('model', '')}",
        "displayName": job.name,
        "state": f"BATCH_STATE_{_STATE[job.state]}",
        "createTime": f"{at}.{int(job.created % 1 * 1e9):09d}Z",
        "batchStats": {"requestCount": str(len(job.asked)), "successfulRequestCount": str(done)},
    }
    shown: dict[str, Any] = {"name": f"batches/{job.id}", "metadata": metadata}
    if job.state == "running":
        return shown
    if job.state == "invalid":
        return {**shown, "done": True, "error": {"code": 3, "message": "The batch is not valid."}}
    if results:
        answers = {"inlinedResponses": [_answer(one) for one in job.answers]}
        shown["response"] = {
            "@type": "type.googleapis.com/google.ai.generativelanguage.v1main.GenerateContentBatchOutput",
            "inlinedResponses": answers,
        }
    return {**shown, "done": True}
