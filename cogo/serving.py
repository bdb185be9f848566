"""What ``serve`` does, in order: look whether it can start, set up, start the processes, wait for
them, say where they are, stay."""

from __future__ import annotations

import shutil
import socket
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from django.conf import settings
from django.db import connections

from llm_gateway.telemetry import processes

from . import preflight, providing, restarts, static, welcome
from .preflight import CannotStart
from .sample_traffic import SampleTraffic, client_key
from .supervisor import Program, Supervisor

READY_WITHIN_S = 60.0
# What runs beside the relay stands back for it.
BACKGROUND = 10
# Batches stand back for that, too.
LAST = 19
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Plan:
    host: str
    port: int
    workers: int = 1
    simulate: bool = False
    local_model: bool = True
    sample_traffic: bool = False
    stop_within_s: int = 9

    def __post_init__(self) -> None:
        if not 1 <= self.workers <= 64:
            raise CannotStart("--workers must be between 1 and 64")
        if not 0 < self.port < 65536:
            raise CannotStart("--port must be between 1 and 65535")
        if self.stop_within_s < 4:
            raise CannotStart("--stop-within must be at least 4 seconds")
        if self.sample_traffic and not self.simulate:
            raise CannotStart("--sample-traffic needs --simulate: it never calls a real provider")

    @property
    def drain_s(self) -> int:
        """How long running answers may go on after a stop signal: what is left when web has 3 s and
        the helpers 1 s for their own end."""
        return int(min(settings.COGO["drain_s"], max(0, self.stop_within_s - 4)))

    @property
    def reachable_host(self) -> str:
        return {"0.0.0.0": "127.0.0.1", "::": "::1", "localhost": "127.0.0.1"}.get(self.host, self.host)  # noqa: S104

    @property
    def url(self) -> str:
        host = f"[{self.reachable_host}]" if ":" in self.reachable_host else self.reachable_host
        return f"http://{host}:{self.port}{settings.BASE_PATH}"


def serve(plan: Plan, say: Say) -> int:
    """The exit code: 0 when it was told to stop, 1 when the gateway could not be started."""
    listening = preflight.listen(plan.host, plan.port)
    preflight.check_exposure(plan.host)
    preflight.close_to_others(say)
    preflight.check_database()
    preflight.check_cache(say)
    preflight.migrate(say)
    static.collect(say)
    report = providing.fill_database(plan.simulate, say)
    secrets = welcome.Secrets(report.username, report.password or "", report.client_key or "")
    run = processes.folder(settings.VAR_DIR)
    _empty(run)
    with ExitStack() as untold, Supervisor(say, stop_within_s=plan.stop_within_s, run_folder=run) as supervisor, ExitStack() as running:
        # What was made once is told in any case, also when the start fails after it.
        untold.callback(lambda: say(welcome.once(secrets)))
        # Left first: from the first stop signal on, nothing new is accepted.
        running.callback(listening.close)
        answering = providing.provide(report, supervisor, say, simulate=plan.simulate, with_local_model=plan.local_model)
        traffic = _sample_traffic(plan, say) if plan.sample_traffic else None
        _let_go_of_the_database()
        if plan.workers > 1:
            _empty(_metrics_folder())
        for number in range(1, plan.workers + 1):
            supervisor.start(_web(plan, listening, number))
        supervisor.start(_background())
        for number in range(1, settings.COGO_BATCH_RUNNERS + 1):
            supervisor.start(_runner(number))
        for number in range(1, settings.COGO_SCORE_WORKERS + 1):
            supervisor.start(Program(f"scores {number}", ("manage.py", "score_answers"), niceness=BACKGROUND))
        say("Starting")
        if _until_ready(plan, supervisor):
            supervisor.has_been_ready = True
            say(welcome.text(plan.url, secrets, answering))
            untold.pop_all()
            if traffic is not None:
                running.enter_context(traffic)
            supervisor.run()
        if supervisor.gave_up is not None:
            sys.stderr.write(f"cogo: {supervisor.gave_up}\n")
            return 1
        say("Stopping")
    shutil.rmtree(run, ignore_errors=True)
    return 0


def _metrics_folder() -> Path:
    return Path(settings.VAR_DIR) / "metrics"


def _empty(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)


def _background() -> Program:
    """Killing one of its idle processes leaves the lock of their queue held for ever: the others
    live on and do nothing."""
    return Program("background work", ("manage.py", "qcluster"), niceness=BACKGROUND, silent_for_s=restarts.CLUSTER_ENDED_AFTER_S)


def _runner(number: int) -> Program:
    name = "batches" if settings.COGO_BATCH_RUNNERS == 1 else f"batches {number}"
    return Program(name, ("manage.py", "run_batches"), environment={"COGO_WORKERS": "1"}, niceness=LAST)


def _web(plan: Plan, listening: socket.socket, number: int) -> Program:
    fd = listening.fileno()
    environment = {"COGO_DRAIN_S": str(plan.drain_s), "PORT": str(plan.port), "COGO_WORKERS": str(plan.workers)}
    if plan.workers > 1:
        environment["PROMETHEUS_MULTIPROC_DIR"] = str(_metrics_folder())
    return Program(
        "web" if plan.workers == 1 else f"web {number}",
        ("cogo.web", "--fd", str(fd), "--grace", str(plan.drain_s + 2)),
        environment=environment,
        descriptors=(fd,),
        essential=True,
    )


def _until_ready(plan: Plan, supervisor: Supervisor) -> bool:
    """Whether the gateway says it is ready before a stop. Gives up with what it said last."""
    deadline = time.monotonic() + READY_WITHIN_S
    said = "it does not answer"
    while not supervisor.stopping:
        supervisor.tick(0.05)
        status, said = providing.ask(plan.reachable_host, plan.port, "/readyz", said)
        if status == HTTPStatus.OK:
            return True
        if time.monotonic() > deadline:
            supervisor.gave_up = f"the gateway was not ready after {READY_WITHIN_S:g} s ({said})"
    return False


def _sample_traffic(plan: Plan, say: Say) -> SampleTraffic:
    """With thirty days behind it, the first time."""
    from django_q.tasks import async_task

    from . import demo

    began = time.monotonic()
    if (told := demo.seed()) is not None:
        async_task("llm_gateway.tasks.replay_policy", told.replay)
        async_task("analytics.tasks.roll_up")
        say(f"Made up 30 days of history: {told.requests:,} simulated requests in {time.monotonic() - began:.1f} s")
    return SampleTraffic(plan.reachable_host, plan.port, client_key(settings.VAR_DIR))


def _let_go_of_the_database() -> None:
    """This process asks nothing of it any more; on PostgreSQL that also ends the pool's threads."""
    connections.close_all()
    for connection in connections.all(initialized_only=True):
        if close_pool := getattr(connection, "close_pool", None):
            close_pool()
