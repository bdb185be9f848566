"""A real gateway for tests: the door under uvicorn in a thread of its own, a provider simulator beside it, rows for every wire.

``gateway`` is what a test asks for. The server behind it starts once per module; before each test its health is forgotten, after each test
nothing may be open, held or in flight and the books must balance. Such tests must not use ``db``: a transaction of theirs would lock the
journal out. Rows that a test adds stay until its module ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import httpx
import pytest

from llm_gateway.simulator import ThreadedSimulator

from .books import unbalanced, unsettled
from .clock import Stopwatch
from .process import Process
from .rows import Rows
from .speaking import Answer, Speaker

T = TypeVar("T")
QUIET_WITHIN_S = 3.0


class GatewayServer:
    """``url``: where it listens. ``gateway``: the process's :class:`~llm_gateway.wiring.Gateway`. ``door``: its settings may be changed."""

    def __init__(self, simulator: ThreadedSimulator, rows: Rows, **overrides: Any) -> None:
        from django.conf import settings

        from cogo.asgi import django_app
        from cogo.connections import HEAD_S, bounded
        from cogo.door import Door
        from cogo.static import static_app

        self.simulator = simulator
        self.rows = rows
        self.door = Door(django_app, static_app(), {**settings.COGO, **overrides})
        self.protocol = bounded({**settings.COGO, **overrides}, head_s=overrides.get("head_s", HEAD_S))
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port: int = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._up = threading.Event()
        self._failed: BaseException | None = None
        self._thread = threading.Thread(target=self._main, name="gateway", daemon=True)
        self.http = httpx.Client(base_url=self.url, timeout=30, trust_env=False, verify=False)

    def start(self) -> GatewayServer:
        self._thread.start()
        self._up.wait(20)
        if self._failed is not None:
            raise self._failed
        return self

    def stop(self) -> None:
        self.http.close()
        if self._thread.is_alive():
            self._server.should_exit = True
            self._thread.join(20)
        self._socket.close()

    def _main(self) -> None:
        import uvicorn
        import uvloop

        config = uvicorn.Config(
            self.door, http=self.protocol, ws="none", lifespan="on", access_log=False, log_config=None, server_header=False,
            proxy_headers=False, timeout_graceful_shutdown=3,
        )  # fmt: skip
        self._server = uvicorn.Server(config)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            try:
                runner.run(self._serve())
            except BaseException as error:
                self._failed = error
            finally:
                self._up.set()

    async def _serve(self) -> None:
        self.loop = asyncio.get_running_loop()
        serving = asyncio.ensure_future(self._server.serve(sockets=[self._socket]))
        while not self._server.started and not serving.done():
            await asyncio.sleep(0.005)
        self._up.set()
        await serving
        if not self._server.started:
            raise RuntimeError("the gateway did not start")

    # What tests do with it.

    @property
    def gateway(self) -> Any:
        from llm_gateway.wiring import gateway

        return gateway()

    def on_loop(self, work: Callable[..., T], *args: Any) -> T:
        """Run ``work`` in the gateway's own thread."""

        async def run() -> T:
            return work(*args)

        return asyncio.run_coroutine_threadsafe(run(), self.loop).result(10)

    def refresh(self) -> None:
        """Let the gateway see rows that were changed just now, and measure anew."""
        self.gateway._refresh()
        self.on_loop(self.gateway.health.contexts.forget)

    def client(self, dialect: str = "openai_chat", key: str | None = None) -> Speaker:
        return Speaker(self.http, dialect, key or self.rows.key)

    def ask(self, dialect: str, model: str, *, stream: bool = False, key: str | None = None, **more: Any) -> Answer:
        return self.client(dialect, key).ask(model, stream=stream, **more)

    def clocks(self, *slugs: str, **clocks_ms: int | None) -> None:
        """``clocks("chat", first_event=200, idle=300, total=2000, connect=100)``: set them, in milliseconds."""
        self.rows.clocks(slugs, clocks_ms)
        self.refresh()

    def alias(self, name: str, *targets: tuple[str, str]) -> str:
        """A name that tries (provider, upstream id) in this order."""
        self.rows.alias(name, targets)
        self.refresh()
        return name

    def issue(self, name: str, **options: Any) -> str:
        """A client key's text; options as of ``create_client_key``."""
        text = self.rows.issue(name, **options)
        self.refresh()
        return text

    def row(self, answer: Answer) -> Any:
        """The log row of an answer, once it is finished."""
        from llm_gateway.models import RequestLog

        watch = Stopwatch()
        while True:
            row = RequestLog.objects.filter(pk=answer.request_id).first()
            if row is not None and row.state != "open":
                return row
            assert watch.took_s < QUIET_WITHIN_S, f"no finished row for {answer.request_id}: {row and row.state}"
            time.sleep(0.01)

    def last_row(self) -> Any:
        """The newest log row (where the caller left before it heard its id)."""
        from llm_gateway.models import RequestLog

        self.quiet()
        return RequestLog.objects.order_by("-id").first()

    def received(self, since: int = 0) -> list[dict[str, Any]]:
        """What the simulator got, oldest first, from entry number ``since`` on."""
        return self.simulator.journal[since:]

    @property
    def mark(self) -> int:
        return len(self.simulator.journal)

    # What the simulator does.

    def program(self, model: str, *sequence: str) -> None:
        """Faults for successive requests to one upstream model (``SLUG/name`` or the bare name)."""
        self._control("faults", {"model": model.split("/", 1)[-1], "sequence": list(sequence)})

    def personality(self, provider: str, **fields: Any) -> None:
        self._control(f"personality/{provider}", fields)

    def verdict(self, key: str, verdict: str) -> None:
        """What the providers think of a key: valid, invalid, noperm, broke or limited."""
        self._control("keys", {key: verdict})

    def _control(self, what: str, body: Any) -> None:
        answer = httpx.post(self.simulator.url(f"/_sim/{what}"), json=body, trust_env=False)
        assert answer.status_code == 200, answer.text

    def health(self) -> Mapping[tuple[int, str], Mapping[str, Any]]:
        return self.on_loop(lambda: dict(self.gateway.health.view()))

    def settle(self) -> None:
        """Wait for writes that go to the database beside requests (shared cooldowns)."""
        self._until(lambda: len(self.gateway.owner) <= 1)

    def quiet(self) -> None:
        """Wait until no request is in flight."""
        self._until(lambda: self.gateway.gate.in_flight == 0 and self.gateway.pipeline.live == 0 and len(self.gateway.owner) <= 1)

    def _until(self, true: Callable[[], bool]) -> None:
        watch = Stopwatch()
        while not self.on_loop(true):
            if watch.took_s > QUIET_WITHIN_S:
                found = self.gateway
                state = f"in flight {found.gate.in_flight}, live {found.pipeline.live}, tasks {[t.get_name() for t in found.owner._tasks]}"
                raise AssertionError(f"the gateway does not come to rest: {state}")
            time.sleep(0.005)

    def forget(self) -> None:
        """Health as new, keys valid, no cooldown in the database."""
        self.settle()
        self.rows.all_healthy()
        found = self.gateway
        self.on_loop(lambda: (found.health.__init__(found.health._on_effect), setattr(found, "_known_rests", [])))
        self.refresh()

    def check(self) -> None:
        """Nothing open, nothing held, budgets as their ledger says, no probe's place taken. The audit follows when the module's rows go."""
        self.quiet()
        probes = self.on_loop(lambda: [key for key, b in self.gateway.health._breakers.items() if b.probe_at is not None])
        assert not probes, f"probes that nobody ended: {probes}"
        assert not (found := unsettled()), "\n".join(found)


@contextlib.contextmanager
def running(blocker: Any, **overrides: Any) -> Iterator[GatewayServer]:
    """A server with its rows; every table is emptied at the end. ``overrides`` change the door's settings (``drain_s``, ``max_in_flight``
    …)."""
    with blocker.unblock(), ThreadedSimulator(latency_ms=0, chunk_ms=0, seed=1, keep_bodies=True) as simulator:
        rows = Rows(simulator)
        rows.fill()
        server = GatewayServer(simulator, rows, **overrides)
        try:
            yield server.start()
            server.quiet()
            assert not (found := unbalanced()), "\n".join(found)
        finally:
            server.stop()
            rows.empty()


_database_before: list[str] = []


def pytest_sessionstart() -> None:
    from django.conf import settings

    _database_before.append(str(settings.DATABASES["default"]["NAME"]))


@pytest.fixture(scope="session")
def test_database(django_db_setup: None, django_db_blocker: Any, django_db_keepdb: bool) -> Iterator[None]:
    """pytest-django makes the database only where some test of the session carries its mark; these carry none."""
    from django.db import connection
    from django.test.utils import setup_databases, teardown_databases

    if str(connection.settings_dict["NAME"]) != _database_before[0]:
        yield
        return
    with django_db_blocker.unblock():
        made = setup_databases(verbosity=0, interactive=False, aliases={"default"}, keepdb=django_db_keepdb)
    yield
    with django_db_blocker.unblock():
        teardown_databases(made, verbosity=0)


@pytest.fixture(scope="module")
def gateway_server(test_database: None, django_db_blocker: Any, request: pytest.FixtureRequest) -> Iterator[GatewayServer]:
    """A module may set the door's settings: ``GATEWAY = {"max_in_flight": 4}``."""
    with running(django_db_blocker, **getattr(request.module, "GATEWAY", {})) as server:
        yield server


@pytest.fixture
def gateway(gateway_server: GatewayServer) -> Iterator[GatewayServer]:
    gateway_server.forget()
    yield gateway_server
    gateway_server.check()


@pytest.fixture(scope="module")
def standing_rows(test_database: None, django_db_blocker: Any) -> Iterator[Rows]:
    """Rows and a simulator without a gateway in this process."""
    with django_db_blocker.unblock(), ThreadedSimulator(latency_ms=0, chunk_ms=0, seed=1) as simulator:
        rows = Rows(simulator)
        rows.fill()
        try:
            yield rows
        finally:
            rows.empty()


@pytest.fixture
def process(standing_rows: Rows) -> Iterator[Process]:
    process = Process()
    yield process
    if process.process.poll() is None:
        process.ended(0.1)
    assert not (found := unbalanced()), "\n".join(found)
