"""One line of a batch, executed as the live request of its dialect would be: same decoding, same pipeline, same errors."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

import msgspec

from llm_gateway.api.compat import _responses
from llm_gateway.api.compat._generate import Keeper, body_of, read, subject_of
from llm_gateway.api.http import HttpCall
from llm_gateway.api.refusal import native_body
from llm_gateway.core import json
from llm_gateway.core.catalog import Identity, Scope, Snapshot
from llm_gateway.core.errors import (
    BudgetExhausted,
    BudgetInFlight,
    GatewayError,
    KeyRevoked,
    NoHealthyDeployment,
    NotFound,
    Overloaded,
    PermissionDenied,
    UpstreamError,
)
from llm_gateway.engine.batch_lines import Ended, Line, Outcome, Pushback, Returned
from llm_gateway.engine.calls import Call, Summary, WholeAnswer
from llm_gateway.engine.gate import revoked
from llm_gateway.engine.heavy import away
from llm_gateway.engine.resolve import resolve
from llm_gateway.wires import Dialect, Inbound, dialects
from llm_gateway.wires._batch import FORMATS, Fault, Item, Result
from llm_gateway.wiring import Gateway, gateway

# A line's kind: the dialect it is written in, and what that dialect's address says.
PATHS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "chat": ("openai_chat", {"kind": "chat"}),
    "responses": ("openai_responses", {"kind": "chat"}),
    "embeddings": ("openai_chat", {"kind": "embeddings"}),
    "messages": ("anthropic_messages", {"kind": "chat"}),
    "generate_content": ("gemini_generate", {"kind": "chat", "stream": "", "verb": "generateContent"}),
    "embed_content": ("gemini_generate", {"kind": "embeddings", "stream": "", "verb": "embedContent"}),
}
ENDPOINTS = {
    "chat": "/v1/chat/completions",
    "responses": "/v1/responses",
    "embeddings": "/v1/embeddings",
    "generate": "generate",
    "analyze": "analyze",
}
FLEX = "flex"
_TIER_FIELD = {"openai_chat": "service_tier", "openai_responses": "service_tier", "gemini_generate": "serviceTier"}
# What passes by itself: the line waits for it, and nothing was sent or nothing was billed.
_PUSHED = (429, 503, 529)
_DEFAULT_WAIT_S = 5.0


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """An answer as the dialect has it. ``summaries``: of all requests that it took."""

    body: bytes
    summaries: tuple[Summary, ...]


Way = Callable[[Line, Item, Identity, Gateway], Awaitable[Done]]


async def execute(line: Line) -> tuple[Outcome, Pushback]:
    """Never raises :class:`GatewayError`."""
    found = gateway()
    own: GatewayError | None = None
    item: Item | None = None
    try:
        if line.text is None:
            raise NotFound("The input file was deleted before this request was executed.")
        item = _item(line, line.text)
        identity = _identity(line, found.catalog.snapshot())
    except GatewayError as error:
        own = error
    if own is not None or item is None:
        assert own is not None
        await found.pipeline.reject(bare(line, found), own)
        return failed(line, own), Pushback()
    try:
        done = await _way(line.kind)(line, item, identity, found)
    except GatewayError as error:
        return refused(line, error)
    return ended(line, True, 200, "", done.body, done.summaries), _told(done.summaries)


def _item(line: Line, text: bytes) -> Item:
    endpoint = ENDPOINTS.get(line.kind, "embedContent" if line.kind == "embed_content" else "")
    try:
        return FORMATS[line.dialect].read(text, endpoint)
    except Fault as fault:
        raise NotFound(f"The line cannot be read any more: {fault.message}") from None


def _identity(line: Line, snapshot: Snapshot) -> Identity:
    """The key's rights as they are now. Its limits per minute are for callers who wait; a batch goes at its own pace. Raises
    :class:`KeyRevoked` or :class:`PermissionDenied`."""
    known = snapshot.clients.get(line.public_id)
    if known is None or revoked(known[1], snapshot):
        raise KeyRevoked("The client key of this batch was revoked or has expired; send the requests with another key.")
    identity = known[1]
    scope = Scope.ANALYZE if line.kind == "analyze" else Scope.GENERATE
    if scope not in identity.scopes:
        raise PermissionDenied(f"The batch's key lacks the scope `{scope.value}`; ask the gateway's operator for one that has it.")
    return msgspec.structs.replace(identity, requests_per_minute=None, tokens_per_minute=None, max_concurrency=None)


def bare(line: Line, found: Gateway) -> Call:
    nobody = Identity(client_key_id=None, public_id="", name="", team_id=line.team, team="", scopes=frozenset())
    known = found.catalog.snapshot().clients.get(line.public_id)
    dialect = PATHS[line.kind][0] if line.kind in PATHS else "native"
    kind = PATHS[line.kind][1]["kind"] if line.kind in PATHS else line.kind
    call = found.bare_call(kind=kind, dialect=dialect, identity=known[1] if known else nobody, model=line.model, request_id=line.request_id)
    return msgspec.structs.replace(call, origin="batch", batch_id=line.batch)


def _way(kind: str) -> Way:
    if kind in PATHS:
        return _compatible
    from .executing_native import WAYS

    return WAYS[kind]


class _Compatible(msgspec.Struct, frozen=True, kw_only=True):
    http: HttpCall
    dialect: Dialect
    keeper: Keeper | None
    call: Call


async def _compatible(line: Line, item: Item, identity: Identity, found: Gateway) -> Done:
    try:
        asked = await _compatible_call(line, item, identity, found)
    except GatewayError as error:
        await found.pipeline.reject(bare(line, found), error)
        raise
    answer = await found.pipeline.whole(asked.call)
    return Done(body=_written(asked, answer), summaries=(answer.summary,))


def _written(asked: _Compatible, answer: WholeAnswer) -> bytes:
    told = body_of(asked.http, asked.dialect, asked.call.inbound, answer)
    if asked.keeper is not None:
        asked.keeper.whole(answer.summary.target, told)
    return told


async def _compatible_call(line: Line, item: Item, identity: Identity, found: Gateway) -> _Compatible:
    name, path = PATHS[line.kind]
    dialect = dialects.get(name)

    async def sent() -> bytes:
        return item.body

    http = HttpCall(id=line.request_id, method="POST", path="", query={}, headers={}, identity=identity, body=sent)
    keeper: Keeper | None = None
    if line.kind == "responses":
        turn = _responses.Turn(http)
        http, keeper = turn.http, turn
    body = await http.body()
    inbound = await away(len(body), read, body, dialect, {**path, "model": line.named_model}, keeper)
    if line.economy:
        inbound = flexible(inbound, identity, found.catalog.snapshot())
    call = Call(
        id=line.request_id,
        kind=inbound.kind,
        identity=identity,
        inbound=inbound,
        metadata=subject_of(http, inbound),
        origin="batch",
        batch_id=line.batch,
    )
    return _Compatible(http=http, dialect=dialect, keeper=keeper, call=call)


async def call_of(line: Line, found: Gateway) -> Call:
    """The first request that ``line`` would make; nothing is sent. Raises what the line would fail with before it."""
    item, identity = _item(line, line.text or b""), _identity(line, found.catalog.snapshot())
    if line.kind in PATHS:
        return (await _compatible_call(line, item, identity, found)).call
    from .executing_native import CALLS

    return await CALLS[line.kind](line, item, identity, found)


class OneCall(msgspec.Struct, frozen=True, kw_only=True):
    """A line that is one request, and how an answer to it is written for its caller."""

    call: Call
    written: Callable[[WholeAnswer], Awaitable[bytes]]


async def one_call_of(line: Line, found: Gateway, *, judged: bool = True) -> OneCall:
    """``judged``: raises what the line would fail with before it is sent; without it, it was sent by the rights of then."""
    try:
        identity = _identity(line, found.catalog.snapshot())
    except GatewayError:
        if judged:
            raise
        identity = bare(line, found).identity
    if line.text is None:
        raise NotFound("The input file was deleted before this request was executed.")
    item = _item(line, line.text)
    if line.kind in PATHS:
        asked = await _compatible_call(line, item, identity, found)

        async def written(answer: WholeAnswer) -> bytes:
            return _written(asked, answer)

        return OneCall(call=asked.call, written=written)
    from .executing_native import generation

    call, own = generation(line, item, identity, found)
    return OneCall(call=call, written=own)


def flexible(inbound: Inbound, identity: Identity, snapshot: Snapshot) -> Inbound:
    """The same for the flex tier, where some target has a price for that and the line asked for no tier of its own."""
    if inbound.service_tier or inbound.kind != "chat":
        return inbound
    try:
        targets = resolve(snapshot, identity, inbound.model, None).targets
    except GatewayError:
        return inbound
    if not any(rate.tier == FLEX for target in targets for rate in target.model.rates):
        return inbound
    decoded = inbound.chat
    field = _TIER_FIELD.get(inbound.dialect)
    return msgspec.structs.replace(
        inbound,
        service_tier=FLEX,
        body=json.edit_object(inbound.body, {field: FLEX}) if field and inbound.body else inbound.body,
        chat=lambda: msgspec.structs.replace(decoded(), service_tier=FLEX),
    )


def refused(line: Line, error: GatewayError) -> tuple[Outcome, Pushback]:
    """What becomes of a line whose request failed with ``error``, which is logged."""
    match error:
        case BudgetExhausted():
            if line.fails_on_budget:
                return msgspec.structs.replace(failed(line, error), exhausted=True), Pushback()
            return Returned(line=line, pause=error.message), Pushback()
        case BudgetInFlight():
            return Returned(line=line, wait_s=error.retry_after_s or 2.0), Pushback()
        case NoHealthyDeployment() if error.retryable:
            wait = _wait(error)
            return Returned(line=line, wait_s=wait), Pushback(pushed={"": wait})
        case Overloaded():
            return Returned(line=line, wait_s=_wait(error)), Pushback()
        case UpstreamError() if error.retryable and error.status in _PUSHED:
            wait = _wait(error)
            return Returned(line=line, wait_s=wait), Pushback(pushed={"": error.retry_after_s})
    return failed(line, error), Pushback()


def _wait(error: GatewayError) -> float:
    return _DEFAULT_WAIT_S if error.retry_after_s is None else max(0.1, error.retry_after_s)


def failed(line: Line, error: GatewayError) -> Ended:
    status, body = encoded_error(line, error)
    return ended(line, False, status, error.code, body, ())


def encoded_error(line: Line, error: GatewayError) -> tuple[int, bytes]:
    if line.kind in PATHS:
        dialect: Dialect = dialects.get(PATHS[line.kind][0])
        return dialect.encode_error(error, str(line.request_id))
    return error.status, json.dumps(native_body(error, line.request_id))


def ended(line: Line, completed: bool, status: int, code: str, body: bytes, summaries: tuple[Summary, ...]) -> Ended:
    form = FORMATS[line.dialect]
    written = 0
    if form.parts:
        told = Result(
            batch=line.batch.hex,
            number=line.number,
            custom_id=line.custom_id,
            request_id=str(line.request_id),
            state="completed" if completed else "failed",
            status=status,
            code=code,
            body=body,
        )
        written = len(form.write(told)) + 1
    usages = [summary.usage for summary in summaries if summary.usage is not None]
    return Ended(
        line=line,
        completed=completed,
        status=status,
        error_code=code,
        body=body,
        result_bytes=written or len(body),
        input_tokens=sum(usage.prompt_tokens for usage in usages),
        output_tokens=sum(usage.completion_tokens for usage in usages),
    )


def _told(summaries: tuple[Summary, ...]) -> Pushback:
    pushed: dict[str, float | None] = {}
    served = ""
    for summary in summaries:
        for attempt in summary.attempts:
            if attempt.outcome == "failed" and attempt.status in _PUSHED:
                pushed[f"{attempt.provider}/{attempt.upstream_id}"] = attempt.failure.retry_after_s if attempt.failure else None
        if summary.target is not None:
            served = f"{summary.target.provider.slug}/{summary.target.upstream_id}"
    return Pushback(served=served, pushed=pushed)
