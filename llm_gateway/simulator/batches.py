"""Batches as the providers run them: jobs, their files, and what goes wrong with them. Each provider's file gives them its own shapes.

A job is executed when it is first looked at after its polls are used up, each request by the handler that a live call would have had.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import msgspec

from llm_gateway.simulator import ids
from llm_gateway.simulator.http11 import Request
from llm_gateway.simulator.reply import Problem, Reply, dump
from llm_gateway.simulator.rng import seeded

if TYPE_CHECKING:
    from llm_gateway.simulator.call import Call

# Of a whole job. ``missing:N`` leaves out every Nth line, ``half`` the second half.
JOB_FAULTS = ("ok", "invalid", "missing", "twice", "shuffled", "expired", "half", "stranger", "gone", "stuck")
# Of one call. ``late``: it was done, and the answer is a 500 all the same; ``cut``: the body ends inside a line.
CALL_FAULTS = ("ok", "late", "cut", "status")
CALLS = ("upload", "create", "poll", "download", "list", "cancel")


@dataclass(slots=True)
class Asked:
    """One request of a job. ``path``: below the provider's prefix."""

    custom_id: str
    path: str
    body: Any


@dataclass(slots=True)
class Answered:
    """``state``: done, expired or cancelled; ``status`` and ``body`` of what was done."""

    custom_id: str
    state: str
    status: int = 0
    body: Any = None


@dataclass(slots=True)
class Job:
    id: str
    provider: str
    key: str
    name: str
    asked: list[Asked]
    fault: str
    polls: int
    created: float = field(default_factory=time.time)
    state: str = "running"
    cancelling: bool = False
    answers: list[Answered] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)

    def count(self, state: str, well: bool | None = None) -> int:
        return sum(1 for one in self.answers if one.state == state and (well is None or (one.status == 200) == well))


@dataclass(slots=True)
class StoredFile:
    id: str
    key: str
    name: str
    data: bytes
    created: float = field(default_factory=time.time)


class Batches:
    """What one simulator knows of batches. ``polls``: how often a new job says that it is still running."""

    def __init__(self) -> None:
        self.polls = 0
        self.jobs: dict[str, Job] = {}
        self.deleted: list[Job] = []
        self.files: dict[str, StoredFile] = {}
        self.job_faults: deque[str] = deque()
        self.call_faults: dict[str, deque[str]] = {name: deque() for name in CALLS}

    def told(self, body: dict[str, Any]) -> None:
        """From the control room: ``polls``, ``jobs`` (a fault for each next job), or the name of a call with a fault for each next one.
        Raises ValueError."""
        for name, value in body.items():
            if name == "polls":
                self.polls = int(value)
            elif name == "jobs":
                self.job_faults = deque(_known(value, JOB_FAULTS))
            elif name in self.call_faults:
                self.call_faults[name] = deque(_known(value, CALL_FAULTS))
            else:
                raise ValueError(f"unknown field {name!r}")

    def called(self, name: str, work: Callable[[], Reply]) -> Reply:
        """The answer of ``work`` under the next fault of calls of this name. Raises Problem."""
        faults = self.call_faults[name]
        kind, _, rest = (faults.popleft() if faults else "ok").partition(":")
        if kind == "status":
            raise _problem(int(rest or 500))
        reply = work()
        if kind == "late":
            raise _problem(int(rest or 500))
        return replace(reply, body=reply.body[: int(len(reply.body) * 0.7)]) if kind == "cut" else reply

    def add(self, call: Call, prefix: str, name: str, asked: list[Asked]) -> Job:
        fault = self.job_faults.popleft() if self.job_faults else "ok"
        job = Job(f"{prefix}{ids.base62(24)}", call.provider, call.key, name, asked, fault, self.polls)
        self.jobs[job.id] = job
        return job

    def of(self, call: Call, job_id: str) -> Job:
        """Raises Problem (unknown_path) for what is not there or somebody else's."""
        job = self.jobs.get(job_id)
        if job is None or (job.provider, job.key) != (call.provider, call.key) or job.fault == "gone":
            raise Problem("unknown_path", f"No batch found with id '{job_id}'.", status=404)
        return job

    def delete(self, job: Job) -> None:
        self.deleted.append(self.jobs.pop(job.id))

    def listed(self, call: Call) -> list[Job]:
        """The newest first."""
        mine = [job for job in self.jobs.values() if (job.provider, job.key) == (call.provider, call.key) and job.fault != "gone"]
        return sorted(mine, key=lambda job: job.created, reverse=True)

    def store(self, call: Call, name: str, data: bytes) -> StoredFile:
        file = StoredFile(f"file-{ids.base62(22)}", call.key, name, data)
        self.files[file.id] = file
        return file

    def file(self, call: Call, file_id: str) -> StoredFile:
        found = self.files.get(file_id)
        if found is None or found.key != call.key:
            raise Problem("unknown_path", f"No such File object: {file_id}", status=404)
        return found

    def looked_at(self, job: Job, call: Call, execute: Callable[[Request], Reply]) -> bool:
        """Whether ``job`` has come to its end with this look. ``execute``: the provider's answer to a live request."""
        if job.state != "running":
            return False
        if job.fault == "invalid":
            job.state = "invalid"
            return True
        if not job.cancelling and (job.polls > 0 or job.fault == "stuck"):
            job.polls -= 1
            return False
        answers = [_executed(one, call, execute) for one in self._doable(job)]
        undone = "cancelled" if job.cancelling else "expired"
        answers += [Answered(one.custom_id, undone) for one in job.asked[len(answers) :]]
        job.answers = _bent(answers, job.fault)
        job.state = "cancelled" if job.cancelling else "expired" if job.fault == "expired" else "ended"
        return True

    @staticmethod
    def _doable(job: Job) -> list[Asked]:
        if job.cancelling or job.fault == "expired":
            return job.asked[: len(job.asked) // 2]
        return job.asked


def _executed(one: Asked, call: Call, execute: Callable[[Request], Reply]) -> Answered:
    headers = {**call.request.headers, "content-type": "application/json"}
    request = Request("POST", one.path, {}, headers, dump(one.body), http10=False, keep_alive=True)
    reply = execute(request)
    return Answered(one.custom_id, "done", reply.status, msgspec.json.decode(reply.body))


def _bent(answers: list[Answered], fault: str) -> list[Answered]:
    kind, _, rest = fault.partition(":")
    if kind == "missing":
        every = int(rest or 3)
        return [one for number, one in enumerate(answers, 1) if number % every]
    if kind == "half":
        return answers[: len(answers) // 2]
    if kind == "twice":
        return [*answers, *answers]
    if kind == "shuffled":
        return seeded("shuffled").sample(answers, len(answers))
    if kind == "stranger":
        return [*answers, Answered("nobody-asked-for-this", "done", 200, answers[0].body if answers else {})]
    return answers


def _known(value: Any, kinds: tuple[str, ...]) -> list[str]:
    found = [str(one) for one in value]
    for one in found:
        if one.partition(":")[0] not in kinds:
            raise ValueError(f"unknown fault {one!r}; known are {', '.join(kinds)}")
    return found


def _problem(status: int) -> Problem:
    if status == 429:
        return Problem("rate_limited", headers=(("retry-after", "1"),))
    return Problem("overloaded" if status in (503, 529) else "server", status=status)
