"""``/v1/completions``: the legacy endpoint, answered by chat models. Several prompts are several requests, each held, logged and priced."""

from __future__ import annotations

from typing import Any

import msgspec

from llm_gateway.api.http import HttpCall, HttpReply
from llm_gateway.core import json
from llm_gateway.core.errors import GatewayError, InvalidJsonBody, InvalidRequest
from llm_gateway.policies.idempotency import HEADER
from llm_gateway.wires import dialects
from llm_gateway.wiring import Gateway, gateway

from ._generate import generate, refuse
from ._routes import routes

COMPLETIONS = "openai_completions"
MOST_PROMPTS = 20
_EMULATED = (b"x-cogo-emulated", b"completions")


class _Asked(msgspec.Struct):
    prompt: Any = None
    stream: Any = None


_asked = msgspec.json.Decoder(_Asked)


async def completions(http: HttpCall) -> HttpReply:
    dialect = dialects.get(COMPLETIONS)
    try:
        body = await http.body()
        prompts = _prompts(http, body)
    except GatewayError as error:
        await gateway().reject(kind="chat", dialect=COMPLETIONS, identity=http.identity, error=error, request_id=http.id)
        return refuse(dialect, error, http)
    if prompts is None:
        return _told(await generate(_with_body(http, body), dialect, {"kind": "chat"}))
    answers: list[HttpReply] = []
    for number, prompt in enumerate(prompts):
        asked = _with_body(http, json.edit_object(body, {"prompt": prompt}))
        # Every prompt is a request of its own in the log; the first has the id that the caller is told.
        asked = asked if number == 0 else msgspec.structs.replace(asked, id=Gateway.new_id())
        answer = await generate(asked, dialect, {"kind": "chat"})
        if answer.status != 200:
            return answer
        answers.append(answer)
    return _told(msgspec.structs.replace(answers[0], body=_joined([answer.body for answer in answers])))


def _prompts(http: HttpCall, body: bytes) -> list[str] | None:
    """Several prompts; ``None`` where there is one, or something that the dialect has to judge."""
    try:
        json.check(body)
        asked = _asked.decode(body)
    except json.InvalidJson as error:
        raise InvalidJsonBody(f"The body cannot be read: {error}") from None
    except msgspec.DecodeError:
        return None
    prompts = asked.prompt
    if asked.stream or not isinstance(prompts, list) or len(prompts) < 2 or not all(isinstance(one, str) for one in prompts):
        return None
    if len(prompts) > MOST_PROMPTS:
        raise InvalidRequest(f"prompt: at most {MOST_PROMPTS} prompts in one request.", param="prompt")
    if HEADER in http.headers:
        raise InvalidRequest(
            "Several prompts are several requests, which one Idempotency-Key cannot name; send them one by one.", param="prompt"
        )
    return prompts


def _with_body(http: HttpCall, body: bytes) -> HttpCall:
    async def again() -> bytes:
        return body

    return msgspec.structs.replace(http, body=again)


def _joined(bodies: list[bytes]) -> bytes:
    """One answer of several: choices numbered on, usage summed."""
    parts: list[dict[str, Any]] = [msgspec.json.decode(body) for body in bodies]
    choices = [choice for part in parts for choice in part["choices"]]
    whole = parts[0] | {"choices": [choice | {"index": index} for index, choice in enumerate(choices)]}
    used = [part["usage"] for part in parts if part.get("usage")]
    if len(used) == len(parts):
        whole["usage"] = {name: sum(one[name] for one in used) for name in ("prompt_tokens", "completion_tokens", "total_tokens")}
    else:
        whole.pop("usage", None)
    return json.dumps(whole)


def _told(reply: HttpReply) -> HttpReply:
    """Says that a chat model answered."""
    if reply.status != 200:
        return reply
    also = next((value for name, value in reply.headers if name == _EMULATED[0]), b"")
    others = tuple(header for header in reply.headers if header[0] != _EMULATED[0])
    return msgspec.structs.replace(reply, headers=(*others, (_EMULATED[0], b"completions, " + also if also else _EMULATED[1])))


routes.add("POST", r"/v1/completions", COMPLETIONS, completions)
