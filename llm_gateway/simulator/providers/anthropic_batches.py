"""Anthropic's message batches: https://docs.claude.com/en/api/creating-message-batches and its neighbours (read 2026-12-01)."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from llm_gateway.simulator.batches import Answered, Asked, Job
from llm_gateway.simulator.call import Call, Handler
from llm_gateway.simulator.http11 import Request
from llm_gateway.simulator.reply import Problem, Reply, dump, json_reply

Execute = Callable[[Call, Request], Reply]
_ROOT = "/v1/messages/batches"
_CUSTOM_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")


def route(call: Call, execute: Execute) -> Handler:
    """Raises Problem."""
    name, _, verb = call.path.removeprefix(_ROOT).strip("/").partition("/")
    match call.request.method, bool(name), verb:
        case "POST", False, "":
            return _create
        case "GET", False, "":
            return _list
        case "GET", True, "":
            return partial(_look, name, execute)
        case "GET", True, "results":
            return partial(_results, name)
        case "POST", True, "cancel":
            return partial(_cancel, name)
        case "DELETE", True, "":
            return partial(_delete, name)
    raise Problem("unknown_path")


def _create(call: Call) -> Reply:
    requests = call.body.get("requests")
    if not isinstance(requests, list) or not requests:
        raise Problem("bad_request", "requests: Field required")
    asked = []
    for at, one in enumerate(requests):
        own = one.get("custom_id") if isinstance(one, dict) else None
        if not isinstance(own, str) or not _CUSTOM_ID.fullmatch(own) or not isinstance(one.get("params"), dict):
            raise Problem("bad_request", f"requests.{at}: custom_id and params are required")
        asked.append(Asked(own, "/v1/messages", one["params"]))
    if len({one.custom_id for one in asked}) < len(asked):
        raise Problem("bad_request", "requests: custom_id must be unique")
    batches = call.state.batches
    if batches.job_faults and batches.job_faults[0] == "invalid":
        # Anthropic looks at a batch before it answers.
        batches.job_faults.popleft()
        raise Problem("bad_request", "requests.0.params: Invalid request.")
    return batches.called("create", lambda: json_reply(_shown(batches.add(call, "msgbatch_", "", asked), call)))


def _list(call: Call) -> Reply:
    def page() -> Reply:
        jobs = [_shown(job, call) for job in call.state.batches.listed(call)[: int(call.request.query.get("limit", "20"))]]
        return json_reply({"data": jobs, "has_more": False, "first_id": None, "last_id": None})

    return call.state.batches.called("list", page)


def _look(name: str, execute: Execute, call: Call) -> Reply:
    batches = call.state.batches
    job = batches.of(call, name)

    def looked() -> Reply:
        batches.looked_at(job, call, partial(execute, call))
        return json_reply(_shown(job, call))

    return batches.called("poll", looked)


def _results(name: str, call: Call) -> Reply:
    job = call.state.batches.of(call, name)
    if job.state == "running":
        raise Problem("unknown_path", "The batch has no results yet.")
    data = b"".join(dump({"custom_id": one.custom_id, "result": _result(one)}) + b"\n" for one in job.answers)
    return call.state.batches.called("download", lambda: Reply(body=data, content_type="application/x-jsonl"))


def _cancel(name: str, call: Call) -> Reply:
    job = call.state.batches.of(call, name)

    def cancelled() -> Reply:
        job.cancelling = True
        return json_reply(_shown(job, call))

    return call.state.batches.called("cancel", cancelled)


def _delete(name: str, call: Call) -> Reply:
    job = call.state.batches.of(call, name)
    if job.state == "running":
        raise Problem("bad_request", "The batch has not ended.")
    call.state.batches.delete(job)
    return json_reply({"id": name, "type": "message_batch_deleted"})


def _result(one: Answered) -> dict[str, Any]:
    if one.state != "done":
        return {"type": "canceled" if one.state == "cancelled" else "expired"}
    if one.status == 200:
        if isinstance(one.body.get("usage"), dict):
            one.body["usage"]["service_tier"] = "batch"
        return {"type": "succeeded", "message": one.body}
    return {"type": "errored", "error": one.body}


def _shown(job: Job, call: Call) -> dict[str, Any]:
    running = job.state == "running"
    done = job.count("done", well=True)
    counts = {
        "processing": len(job.asked) if running else 0, "succeeded": done, "errored": job.count("done") - done,
        "canceled": job.count("cancelled"), "expired": job.count("expired"),
    }  # fmt: skip
    host = call.request.headers.get("host", "")
    at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(job.created))
    return {
        "id": job.id,
        "type": "message_batch",
        "processing_status": ("canceling" if job.cancelling else "in_progress") if running else "ended",
        "request_counts": counts,
        "created_at": f"{at}.{int(job.created % 1 * 1e6):06d}Z",
        "expires_at": f"{at}Z",
        "ended_at": None if running else f"{at}Z",
        "cancel_initiated_at": f"{at}Z" if job.cancelling else None,
        "archived_at": None,
        "results_url": None if running else f"http://{host}/anthropic{_ROOT}/{job.id}/results",
    }
