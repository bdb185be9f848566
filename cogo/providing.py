"""Who answers when ``serve`` starts: the configured providers, the embedded model on this machine,
or the simulator."""

from __future__ import annotations

import http.client
import json
import secrets
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING

from . import local_model, preflight
from .preflight import CannotStart
from .supervisor import Child, Program, Supervisor

if TYPE_CHECKING:
    from llm_gateway.actions.bootstrap import Report

HELPER_READY_WITHIN_S = 30.0
Say = Callable[[str], None]


def fill_database(simulate: bool, say: Say) -> Report:
    """What a database needs before anything answers: see llm_gateway.actions.bootstrap."""
    from llm_gateway.actions import ActionError
    from llm_gateway.actions.bootstrap import bootstrap
    from llm_gateway.actions.register_simulated import leave_simulated

    try:
        if not simulate:
            leave_simulated()
        report = bootstrap()
    except ActionError as error:
        raise CannotStart(str(error)) from None
    for note in report.notes:
        say(note)
    return report


def provide(report: Report, supervisor: Supervisor, say: Say, *, simulate: bool, with_local_model: bool) -> str:
    """Starts and registers the helper that is wanted; returns who answers now, for the operator, in
    a sentence."""
    from llm_gateway.actions.register_local import SLUG, retire_local

    configured = [slug for slug in report.configured if slug != SLUG]
    if not simulate and with_local_model and not configured:
        trouble = _start_local_model(supervisor)
        if not trouble:
            return f"{local_model.TITLE} answers until a provider has a key: paste one in the admin, or set it in .env."
        say(f"{trouble}; the provider simulator answers instead")
        simulate = True
    retire_local()
    if simulate:
        return _start_simulator(supervisor)
    _queue_checks(report.unchecked)
    if not configured:
        return "No provider has a key yet: paste one in the admin under Provider keys."
    return f"Providers with a key: {', '.join(configured)}. What they say of it stands in the admin under Provider keys."


def _start_local_model(supervisor: Supervisor) -> str:
    """Empty when it answers; else one clause with the reason."""
    from llm_gateway.actions.register_local import register_local

    try:
        local_model.weights()
    except local_model.Unavailable as why:
        return str(why)
    port, key = preflight.free_port(), secrets.token_urlsafe(24)
    program = Program(
        "the local model",
        ("cogo.local_model", "--port", str(port)),
        environment={local_model.KEY_VARIABLE: key},
        stage=1,
        quiet=True,
    )
    child = supervisor.start(program, on_trial=True)
    if trouble := _until_it_answers(supervisor, child, port, "/health"):
        supervisor.drop(child)
        return trouble
    register_local(
        f"http://127.0.0.1:{port}/v1",
        local_model.MODEL_NAME,
        local_model.TITLE,
        key=key,
        context_window=local_model.CONTEXT_WINDOW,
        max_output_tokens=local_model.MAX_OUTPUT_TOKENS,
        capabilities=local_model.CAPABILITIES,
    )
    return ""


def _start_simulator(supervisor: Supervisor) -> str:
    """Starts it, registers its four providers with keys that check valid, and returns the sentence
    about it."""
    from llm_gateway.actions.register_simulated import register_simulated
    from llm_gateway.simulator import Simulator

    port = preflight.free_port()
    child = supervisor.start(Program("the simulator", ("manage.py", "simulate", "--port", str(port)), stage=1, quiet=True), on_trial=True)
    if trouble := _until_it_answers(supervisor, child, port, "/_sim/healthz"):
        raise CannotStart(trouble)
    addresses = Simulator(port)
    keys = register_simulated({name: addresses.base_url(name) for name in ("fireworks", "anthropic", "openai", "gemini")})
    _queue_checks(tuple(key.pk for key in keys))
    down = f"curl {addresses.url('/_sim/personality/fireworks')} -d '{json.dumps({'state': 'down'})}'"
    return f'A provider simulator answers: nothing here is real, nothing is billed.\nTake a provider down ("up" brings it back): {down}'


def _queue_checks(ids: tuple[int, ...]) -> None:
    """The background worker checks these keys as soon as it runs."""
    from django_q.tasks import async_task

    for pk in ids:
        async_task("llm_gateway.tasks.check_key", pk)


def _until_it_answers(supervisor: Supervisor, child: Child, port: int, path: str) -> str:
    """Empty once it does; else why it does not. From then on the supervisor keeps it running."""
    deadline = time.monotonic() + HELPER_READY_WITHIN_S
    said = "it does not answer"
    while not supervisor.stopping:
        supervisor.tick(0.05)
        if not child.running:
            return f"{child.program.name} does not start ({child.reason().removeprefix('cogo: ')})"
        status, said = ask("127.0.0.1", port, path, said)
        if status == HTTPStatus.OK:
            child.on_trial = False
            return ""
        if time.monotonic() > deadline:
            return f"{child.program.name} was not ready after {HELPER_READY_WITHIN_S:g} s ({said})"
    raise SystemExit(0)


def ask(host: str, port: int, path: str, otherwise: str) -> tuple[int, str]:
    """Status and text of a GET; 0 and ``otherwise`` when nobody answers."""
    connection = http.client.HTTPConnection(host, port, timeout=2)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, " ".join(response.read(300).decode(errors="replace").split())
    except (OSError, http.client.HTTPException):
        return 0, otherwise
    finally:
        connection.close()
