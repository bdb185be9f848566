"""The simulator: one port, five providers, a control room, a journal."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from llm_gateway.simulator import faults
from llm_gateway.simulator.call import Call
from llm_gateway.simulator.control import apply, control, parse_personality
from llm_gateway.simulator.deliver import Delivery
from llm_gateway.simulator.http11 import Malformed, Request, read_request
from llm_gateway.simulator.journal import Journal
from llm_gateway.simulator.peer import Peer, PeerProtocol
from llm_gateway.simulator.providers import ALL
from llm_gateway.simulator.providers.base import Provider
from llm_gateway.simulator.reply import Problem, Reply, json_reply
from llm_gateway.simulator.reply_faults import bend_reply, problem_of
from llm_gateway.simulator.state import State

BODY_LIMIT = 64 * 1024 * 1024
log = logging.getLogger(__name__)


class Simulator:
    """A provider simulator on 127.0.0.1. Times in milliseconds; ``port`` 0 takes any free one.

    ``personalities`` are texts for control.parse_personality, ``strict_models`` refuses names that are not listed.

    ``await start()``, use ``base_url(provider)``, ``await stop()``; or ``async with``.
    """

    def __init__(
        self,
        port: int = 0,
        *,
        host: str = "127.0.0.1",
        journal_path: str | Path | None = None,
        latency_ms: float = 30.0,
        chunk_ms: float = 5.0,
        seed: int = 1,
        keep_bodies: bool = False,
        strict_models: bool = False,
        personalities: Sequence[str] = (),
    ) -> None:
        self.host = host
        self.port = port
        self.state = State(seed, latency_ms, chunk_ms, strict_models)
        for text in personalities:
            provider, fields = parse_personality(text)
            apply(f"personality/{provider}", fields, self.state)
        self.journal = Journal(journal_path, keep_bodies)
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = False
        self._providers = {provider.base_path.split("/")[1]: provider for provider in ALL}

    async def start(self) -> None:
        """Binds and accepts. Raises OSError when the port is taken."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: PeerProtocol(self._serve, loop), self.host, self.port, backlog=1024)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Closes the port and every connection, hanging ones too, and the journal."""
        self._stopping = True
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=0.5)
        self._server = None
        self.journal.close()

    async def __aenter__(self) -> Simulator:
        await self.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.stop()

    def control(self, what: str, **fields: Any) -> Any:
        """The control room without HTTP, in the server's own loop: ``control("personality/openai", state="down")``."""
        return apply(what, fields, self.state)

    def url(self, path: str = "") -> str:
        """An address at this server, for the control room."""
        return f"http://{self.host}:{self.port}{path}"

    def base_url(self, provider: str) -> str:
        """The base URL that the row of ``provider`` should hold."""
        return self.url(self._providers[provider].base_path)

    async def _serve(self, peer: Peer) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            while await self._one(peer):
                pass
        except (ConnectionError, TimeoutError):
            pass
        except asyncio.CancelledError:
            # asyncio's stream protocol logs a cancelled handler as an error; only stop() cancels, so ending is enough.
            if not self._stopping:
                raise
        finally:
            self._tasks.discard(task)
            if self._stopping:
                peer.writer.transport.abort()
            else:
                peer.writer.close()

    async def _one(self, peer: Peer) -> bool:
        """Serves one request; true when the connection may carry another."""
        try:
            request = await read_request(peer.reader, peer.writer, BODY_LIMIT)
        except Malformed as error:
            await Delivery(peer, error.request, self._malformed(error)).run()
            await self._drained(peer)
            return False
        if request is None:
            return False
        room = request.path.split("/", 2)[1]
        if room == "_sim":
            reply = control(request, self.state, self.journal)
            return await self._simply(peer, request, reply)
        provider = self._providers.get(room)
        if provider is None:
            reply = json_reply({"error": {"message": f"no provider at {request.path}", "type": "not_found"}}, 404)
            return await self._simply(peer, request, reply)
        return await self._provider(peer, request, provider)

    def _malformed(self, error: Malformed) -> Reply:
        """The answer to what could not be read, in the words of the provider it was meant for if that is known."""
        request = error.request
        provider = self._providers.get(request.path.split("/", 2)[1])
        if provider is None or error.status != 413:
            return json_reply({"error": {"message": error.reason, "type": "invalid_request_error"}}, error.status)
        call = Call(provider.name, request, provider.inner(request.path), self.state)
        return provider.refuse(Problem("too_large"), call)

    @staticmethod
    async def _simply(peer: Peer, request: Request, reply: Reply) -> bool:
        delivery = Delivery(peer, request, reply)
        await delivery.run()
        return delivery.keep

    @staticmethod
    async def _drained(peer: Peer) -> None:
        """Reads away what is still coming, for a moment, so that the refusal is not lost to a reset."""
        with contextlib.suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(0.2):
                while await peer.reader.read(65536):
                    pass

    async def _provider(self, peer: Peer, request: Request, provider: Provider) -> bool:
        call = Call(provider.name, request, provider.inner(request.path), self.state, key=provider.key(request))
        problem = self._read(provider, call)
        entry = self.journal.received(call)
        before = peer.sent
        outcome = "cancelled"
        try:
            if call.plan and await self._cut_off(peer, call):
                outcome = f"fault:{call.plan.label()}"
                return False
            reply = self._reply(provider, call, problem)
            pace = self.state.pace(provider.name) if provider.generates(call) else (0.0, 0.0)
            extra = (*provider.headers(call), ("x-cogo-sim-id", entry["id"]))
            sent = Delivery(peer, request, reply, extra, call.plan, *pace)
            await sent.run()
            entry["status"] = reply.status
            if reply.billed != (0, 0):
                entry["input_tokens"] = reply.billed[0]
                entry["output_tokens"] = reply.billed[1] if sent.complete else sent.tokens
            outcome = "ok" if sent.complete else "peer_closed" if not call.plan else f"fault:{call.plan.label()}"
            if reply.status >= 400:
                outcome = "refused"
            return sent.keep and peer.here()
        finally:
            entry["bytes_sent"] = peer.sent - before
            self.journal.finished(entry, peer, outcome)

    def _read(self, provider: Provider, call: Call) -> Problem | None:
        """Reads body and faults of the call; the first problem met, for later."""
        try:
            provider.read(call)
        except Problem as problem:
            return problem
        try:
            call.plan = self.state.plan(provider.name, call.model, provider.generates(call))
        except faults.UnknownFault as error:
            return Problem("bad_request", str(error), param="model")
        return None

    async def _cut_off(self, peer: Peer, call: Call) -> bool:
        """The faults that come before any answer; true when one of them ended the connection."""
        if call.plan.get("refuse"):
            await peer.close()
            return True
        if call.plan.get("silent"):
            await peer.hang()
            return True
        if (fault := call.plan.get("rst")) and not fault.at:
            peer.reset()
            return True
        return False

    def _reply(self, provider: Provider, call: Call, problem: Problem | None) -> Reply:
        try:
            handler = provider.route(call)
            provider.admit(call)
            if problem is not None:
                raise problem
            if call.plan and (planned := problem_of(call.plan, call.model, call.key)):
                raise planned
            reply = handler(call)
            if call.plan:
                host = call.request.headers.get("host", f"{self.host}:{self.port}")
                reply = bend_reply(reply, call.plan, lambda one: provider.refuse(one, call), host)
            return reply
        except Problem as refused:
            return provider.refuse(refused, call)
        except Exception:
            log.exception("simulator failed on %s %s", call.request.method, call.request.path)
            return provider.refuse(Problem("server", "simulator error"), call)
