"""Control at run time, under /_sim: state, personalities, scripts, fault sequences, models, keys, journal."""

from __future__ import annotations

from collections import deque
from typing import Any

import msgspec

from llm_gateway.simulator import faults
from llm_gateway.simulator.catalogue import Model
from llm_gateway.simulator.http11 import Request
from llm_gateway.simulator.journal import Journal
from llm_gateway.simulator.reply import Reply, json_reply
from llm_gateway.simulator.state import PROVIDERS, STATES, VERDICTS, Personality, Sequence, State


class Refused(Exception):
    """A control request that makes no sense; the text says why."""


def apply(what: str, body: dict[str, Any], state: State) -> Any:
    """One command, named by its path under /_sim: ``personality/{provider}``, reset, script, faults, models, keys, batches.

    Raises Refused, KeyError.
    """
    name, _, rest = what.partition("/")
    if name == "personality":
        return _personality(rest or "all", dict(body), state)
    actions = {"reset": _reset, "script": _script, "faults": _faults, "models": _models, "keys": _keys, "batches": _batches}
    actions[name](body, state)
    return {"ok": True}


def parse_personality(text: str) -> tuple[str, dict[str, Any]]:
    """``provider=state[,field=value…]`` as a command line gives it, for ``apply``. Raises Refused.

    Examples: ``openai=down``, ``anthropic=flaky,p=0.2``, ``all=slow,latency_ms=200``, ``gemini=fault,fault=status:503``.
    """
    provider, equals, rest = text.partition("=")
    state, *fields = rest.split(",")
    if not equals or state not in STATES or provider not in (*PROVIDERS, "all"):
        raise Refused(f"{text!r} is not provider=state[,field=value…]")
    body: dict[str, Any] = {"state": state}
    for field in fields:
        name, _, value = field.partition("=")
        try:
            body[name] = value if name == "fault" else float(value)
        except ValueError:
            raise Refused(f"{name} in {text!r} is no number") from None
    return provider, body


def control(request: Request, state: State, journal: Journal) -> Reply:
    """The answer to a /_sim request."""
    parts = request.path.strip("/").split("/")[1:]
    try:
        return json_reply(_do(request, parts, state, journal))
    except Refused as refusal:
        return json_reply({"error": str(refusal)}, 400)
    except KeyError:
        return json_reply({"error": "no such control"}, 404)


def _body(request: Request) -> dict[str, Any]:
    try:
        body = msgspec.json.decode(request.body) if request.body else {}
    except msgspec.DecodeError as error:
        raise Refused(f"not JSON: {error}") from None
    if not isinstance(body, dict):
        raise Refused("an object is expected")
    return body


def _do(request: Request, parts: list[str], state: State, journal: Journal) -> Any:
    what = parts[0] if parts else ""
    if request.method in ("GET", "HEAD"):
        if what == "journal":
            return _journal(request, journal)
        return {"state": state.snapshot(), "healthz": {"ok": True}, "redirected": {"redirected": True}}[what]
    if request.method == "DELETE" and what == "journal":
        journal.entries.clear()
        return {"ok": True}
    return apply("/".join(parts), _body(request), state)


def _journal(request: Request, journal: Journal) -> Any:
    entries = list(journal.entries)
    for name in ("provider", "model", "outcome"):
        if name in request.query:
            entries = [one for one in entries if one[name] == request.query[name]]
    if (limit := request.query.get("limit", "")).isdigit():
        entries = entries[-int(limit) :]
    return {"entries": entries}


def _personality(provider: str, body: dict[str, Any], state: State) -> Any:
    known = state.personalities
    chosen = known if provider == "all" else {provider: known[provider]}
    if body.get("state", "up") not in STATES:
        raise Refused(f"state is one of {', '.join(STATES)}")
    if isinstance(body.get("fault"), str):
        fault = body.pop("fault")
        body = {"state": "fault", **body, "faults": [fault]}
    for spec in body.get("faults") or ():
        _checked(str(spec))
    for name, value in body.items():
        if name not in Personality.__dataclass_fields__:
            raise Refused(f"unknown field {name!r}")
        if name in ("latency_ms", "chunk_ms", "slow_ms", "jitter", "p") and not isinstance(value, int | float):
            raise Refused(f"{name} is a number")
        for one in chosen.values():
            setattr(one, name, value)
    return state.snapshot()["personalities"]


def _checked(spec: str) -> str:
    try:
        faults.parse(spec)
    except faults.UnknownFault as error:
        raise Refused(str(error)) from None
    return spec


def _reset(body: dict[str, Any], state: State) -> None:
    state.reset()


def _script(body: dict[str, Any], state: State) -> None:
    steps = body.get("steps")
    if not isinstance(steps, list) or not all(isinstance(step, dict) for step in steps):
        raise Refused("steps must be a list of objects")
    state.script = deque(steps) if not body.get("append") else deque([*state.script, *steps])
    state.script_only_with_tools = bool(body.get("only_with_tools"))


def _faults(body: dict[str, Any], state: State) -> None:
    model, sequence = body.get("model"), body.get("sequence")
    if not isinstance(model, str) or not isinstance(sequence, list):
        raise Refused("model and sequence are required")
    whole = tuple(_checked(str(spec)) for spec in sequence)
    state.sequences[model] = Sequence(deque(whole), whole, bool(body.get("repeat")))


def _batches(body: dict[str, Any], state: State) -> None:
    try:
        state.batches.told(body)
    except (TypeError, ValueError) as error:
        raise Refused(str(error)) from None


def _models(body: dict[str, Any], state: State) -> None:
    extra = state.extra[str(body.get("provider"))]
    for name in body.get("add") or ():
        extra.insert(0, Model(str(name), str(name), embedding="embed" in str(name)))
    for name in body.get("retire") or ():
        extra.insert(0, Model(str(name), str(name), ends="2026-11-01", retired=True))


def _keys(body: dict[str, Any], state: State) -> None:
    for key, verdict in body.items():
        if verdict not in ("valid", *VERDICTS):
            raise Refused(f"a verdict is valid, {', '.join(VERDICTS)}")
        state.keys[key] = verdict
