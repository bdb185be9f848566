"""The memory of ``/v1/responses``: earlier turns put before a request, its answer kept, and both read again by id."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec

from llm_gateway.api.http import JSON, HttpCall, HttpReply, id_headers, page_size
from llm_gateway.core import json
from llm_gateway.core.catalog import Target
from llm_gateway.core.chat import ChatRequest
from llm_gateway.core.errors import InvalidJsonBody, InvalidRequest, NotFound, UnsupportedParameter
from llm_gateway.core.sse import SseDecoder
from llm_gateway.engine.heavy import away
from llm_gateway.stores.responses import LARGEST, Kept
from llm_gateway.wires import Inbound
from llm_gateway.wires.openai_responses.names import INSTRUCTIONS
from llm_gateway.wiring import gateway

from . import _references

RESPONSES = "openai_responses"
_ENDS = (b'"response.completed"', b'"response.incomplete"')
_NOTHING = msgspec.Raw(b"null")


class PreviousResponseNotFound(InvalidRequest):
    """OpenAI's own code for it, which its SDKs and agents know."""

    code = "previous_response_not_found"


class _Asked(msgspec.Struct):
    """The fields of a request that memory is about."""

    store: Any = None
    background: Any = None
    previous_response_id: Any = None
    instructions: Any = None
    input: msgspec.Raw = _NOTHING


class _Answered(msgspec.Struct):
    id: str
    status: str


class _Ended(msgspec.Struct):
    type: str
    response: msgspec.Raw = _NOTHING


_asked = msgspec.json.Decoder(_Asked)
_answered = msgspec.json.Decoder(_Answered)
_ended = msgspec.json.Decoder(_Ended)
_items = msgspec.json.Decoder(list[msgspec.Raw])


class Turn:
    """One request with what came before it; a ``Keeper`` for its answer."""

    def __init__(self, http: HttpCall, *, counting: bool = False) -> None:
        self._http = http
        self._identity = http.identity
        self._store = gateway().responses
        self._counting = counting
        self._keep = False
        self._sent = b""
        self._previous: Kept | None = None
        self._before: list[msgspec.Raw] = []
        self._input: list[msgspec.Raw] = []
        self.http = msgspec.structs.replace(http, body=self.body)

    async def body(self) -> bytes:
        """The caller's body, with the earlier turns before its input. Raises the caller's own errors."""
        body = self._sent = await self._http.body()
        if _references.KIND in body:
            body = self._sent = await _references.resolve(body, self._identity, self._store)
        if b'"previous_response_id"' not in body:
            return body
        try:
            asked = await away(len(body), _checked, body)
        except json.InvalidJson as error:
            raise InvalidJsonBody(f"The body cannot be read: {error}") from None
        except msgspec.DecodeError:
            return body  # the dialect says what is wrong with it
        previous = asked.previous_response_id
        if previous is None:
            return body
        if not isinstance(previous, str):
            raise InvalidRequest("previous_response_id: Expected `str`.", param="previous_response_id")
        self._previous = await self._store.load(self._identity, previous)
        if self._previous is None:
            raise PreviousResponseNotFound(
                f"Previous response with id '{previous[:100]}' not found; it expired, was not stored, or belongs to another key.",
                param="previous_response_id",
            )
        return await away(len(body) + len(self._previous.input), self._joined, body, asked, self._previous)

    def _joined(self, body: bytes, asked: _Asked, previous: Kept) -> bytes:
        self._before = [*_items.decode(previous.input), *_said(previous.response)]
        return json.edit_object(body, {"input": [*self._before, *items_of(asked.input)]}, ("previous_response_id",))

    # Keeper.

    def complete(self, inbound: Inbound) -> Inbound:
        asked = _asked.decode(self._sent)  # checked and typed already
        if asked.background:
            raise UnsupportedParameter("The gateway answers while it is asked; leave `background` out.", param="background")
        self._keep = asked.store is not False and not self._counting and self._store.keeps(self._identity)
        self._input = [*self._before, *items_of(asked.input)]
        hints: dict[str, Any] = {"store": self._keep}
        if isinstance(asked.instructions, str):
            hints[INSTRUCTIONS] = asked.instructions
        if self._previous is not None:
            hints["previous_response_id"] = self._previous.id
            inbound = msgspec.structs.replace(inbound, sent=self._sent, sent_for=self._previous.credential_id)
        decoded = inbound.chat

        def chat() -> ChatRequest:
            found = decoded()
            return msgspec.structs.replace(found, hints=found.hints | hints)

        return msgspec.structs.replace(inbound, chat=chat)

    def whole(self, target: Target | None, body: bytes) -> None:
        self._remember(target, msgspec.Raw(body))

    async def watched(self, target: Target | None, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for chunk in chunks:
            # The last chunk comes after the settlement; it is looked at before it leaves, so that the next turn finds it.
            if self._keep and any(mark in chunk for mark in _ENDS):
                self._find_end(target, chunk)
            yield chunk

    def _find_end(self, target: Target | None, chunk: bytes) -> None:
        decoder = SseDecoder(LARGEST)
        for frame in [*decoder.feed(chunk), *decoder.close()]:
            if frame.data is not None and any(mark in frame.data for mark in _ENDS):
                ended = _ended.decode(frame.data)
                if ended.type in ("response.completed", "response.incomplete"):
                    self._remember(target, ended.response)

    def _remember(self, target: Target | None, response: msgspec.Raw) -> None:
        if not self._keep:
            return
        try:
            answered = _answered.decode(response)
        except msgspec.DecodeError:
            return
        if answered.status not in ("completed", "incomplete"):
            return
        # The provider remembers what it was sent in its own format; what was translated for it was not to be stored.
        own = target is not None and target.provider.wire == RESPONSES
        kept = Kept(
            id=answered.id,
            response=response,
            input=msgspec.Raw(json.dumps(self._input)),
            credential_id=target.credential.id if own and target is not None else None,
        )
        self._store.save(self._identity, kept, self._http.id)


def _checked(body: bytes) -> _Asked:
    json.check(body)
    return _asked.decode(body)


def items_of(raw: msgspec.Raw) -> list[msgspec.Raw]:
    head = bytes(raw).lstrip()[:1]
    if head == b"[":
        return _items.decode(raw)
    if head == b'"':
        text = msgspec.json.decode(raw)
        return [msgspec.Raw(json.dumps({"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}))]
    return []


def _said(response: msgspec.Raw) -> list[msgspec.Raw]:
    """The output of an earlier turn as input."""
    output = msgspec.json.decode(response).get("output") or ()
    return [shown for item in output if (shown := _references.shown_again(item)) is not None]


# What is read again by id.


async def retrieve(http: HttpCall) -> HttpReply:
    if http.query.get("stream", "").lower() in ("true", "1"):
        raise UnsupportedParameter("A stored response is given whole; leave `stream` out.", param="stream")
    return _json(http, (await _found(http, http.path.removeprefix("/v1/responses/"))).response)


async def delete(http: HttpCall) -> HttpReply:
    response_id = http.path.removeprefix("/v1/responses/")
    if not await gateway().responses.delete(http.identity, response_id):
        raise _missing(response_id)
    return _json(http, {"id": response_id, "object": "response", "deleted": True})


async def cancel(http: HttpCall) -> HttpReply:
    """Only a response that runs in the background can be cancelled, and the gateway answers while it is asked."""
    await _found(http, http.path.removeprefix("/v1/responses/").removesuffix("/cancel"))
    raise InvalidRequest(
        "Only a response created with `background` can be cancelled, and this one is complete. To stop an answer while it comes, close "
        "its connection.",
        param="response_id",
    )


async def input_items(http: HttpCall) -> HttpReply:
    response_id = http.path.removeprefix("/v1/responses/").removesuffix("/input_items")
    kept = await _found(http, response_id)
    items = [_listed(raw, response_id, at) for at, raw in enumerate(_items.decode(kept.input))]
    if http.query.get("order", "desc") != "asc":
        items.reverse()
    ids = [item["id"] for item in items]
    if (after := http.query.get("after")) in ids:
        items = items[ids.index(after) + 1 :]
    page = items[: page_size(http.query.get("limit"), usual=20, most=100)]
    listed = {
        "object": "list",
        "data": page,
        "first_id": page[0]["id"] if page else None,
        "last_id": page[-1]["id"] if page else None,
        "has_more": len(page) < len(items),
    }
    return _json(http, listed)


def _listed(raw: msgspec.Raw, response_id: str, at: int) -> dict[str, Any]:
    item = msgspec.json.decode(raw)
    if item.get("type", "message") == "message":
        content = item.get("content")
        kind = "output_text" if item.get("role") == "assistant" else "input_text"
        shown = [{"type": kind, "text": content}] if isinstance(content, str) else content
        item = {"type": "message", "status": "completed", **item, "content": shown}
    return {"id": f"item_{response_id[-24:]}_{at}", **item}


async def _found(http: HttpCall, response_id: str) -> Kept:
    kept = await gateway().responses.load(http.identity, response_id)
    if kept is None:
        raise _missing(response_id)
    return kept


def _missing(response_id: str) -> NotFound:
    return NotFound(f"Response with id '{response_id[:100]}' not found; it expired, was not stored, or belongs to another key.", param="id")


def _json(http: HttpCall, value: object) -> HttpReply:
    return HttpReply(headers=(JSON, *id_headers(http.id)), body=json.dumps(value))
