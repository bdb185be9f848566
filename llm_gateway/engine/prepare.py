"""A provider's request, built from the caller's: its own bytes with a few edits on the same wire, translated on another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from llm_gateway.core import json
from llm_gateway.core.catalog import Target
from llm_gateway.core.errors import GatewayError, UnsupportedParameter
from llm_gateway.wires import Edits, Inbound, ModelFacts, Wire, at_callers_place, counters, embedders, fitted, without_tokens

from .calls import Call
from .ways import Way, model_facts, way_to

__all__ = ["Prepared", "model_facts", "prepare"]


class Prepared(msgspec.Struct, frozen=True):
    """A request ready to go. ``passthrough``: the provider's bytes are the caller's format; ``streamed``: the upstream call is a stream."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes
    passthrough: bool
    streamed: bool
    kind: str = "chat"
    bare: bool = False


def prepare(
    call: Call,
    target: Target,
    ceiling: int | None,
    force_stream: bool = False,
    strangers: Callable[[str], bool] | None = None,
    bare: bool = False,
    way: Way | None = None,
) -> Prepared:
    """Build the provider's request. ``ceiling``: a limit on output tokens to set. ``strangers``: tells thinking tokens of the history that
    another provider made; ``bare``: leave all of them out; ``way``: the target's, where it is at hand. Raises
    :class:`UnsupportedParameter` when this target cannot do what the caller asks."""
    way = way or way_to(target)
    service, wire, facts = way.service, way.wire, way.facts
    inbound = call.inbound
    limit = inbound.max_tokens if ceiling is None else min(ceiling, inbound.max_tokens or ceiling)
    cap = service.facts.non_stream_cap
    chat_like = inbound.kind == "chat"
    streamed = chat_like and (call.stream or force_stream or (cap is not None and (limit is None or limit > cap)))
    same = bool(inbound.body) and inbound.dialect == wire.name
    cut = same and chat_like and not facts.stop and b'"stop"' in inbound.body and bool(_stops(inbound))
    passthrough = same and call.raw and not cut and not (call.stream and inbound.stream_form != "sse")
    if same:
        sent = inbound.sent if inbound.sent_for == target.credential.id else inbound.body
        edits = Edits(
            facts=facts,
            stream=streamed,
            include_usage=streamed,
            max_tokens=ceiling,
            foreign=_any_token if bare else strangers,
            drop=("stop",) if cut else (),
        )
        body = service.adapt(wire.name, wire.edit_request(sent, edits))
    elif not chat_like:
        body = json.dumps(_translated(call, wire, facts))
    else:
        said = inbound.chat()
        chat = fitted(without_tokens(said) if bare else said, wire.name, facts).chat
        changes: dict[str, Any] = {"stream": streamed, "include_usage": streamed, "model": target.upstream_id}
        if call.sticky or inbound.affinity:
            changes["session"] = call.sticky or inbound.affinity
        if limit != chat.max_tokens:
            changes["max_tokens"] = limit
        try:
            body = json.dumps(wire.encode_request(msgspec.structs.replace(chat, **changes), facts))
        except UnsupportedParameter as error:
            raise at_callers_place(error, said) from None
    return Prepared(
        "POST",
        way.url("embedding" if same and inbound.single else inbound.kind, streamed),
        way.headers(call.headers),
        body,
        passthrough,
        streamed,
        inbound.kind,
        bare,
    )


def _any_token(token: str) -> bool:
    return True


def _stops(inbound: Inbound) -> tuple[str, ...]:
    """The caller's stop sequences; of a body that cannot be read, none: the provider says what is wrong with it."""
    try:
        return inbound.chat().stop
    except GatewayError:
        return ()


def _translated(call: Call, wire: Wire, facts: ModelFacts) -> dict[str, Any]:
    """A request without generation for a provider of another format."""
    inbound = call.inbound
    if inbound.kind == "embeddings" and inbound.embedding is not None and wire.name in embedders:
        return embedders.get(wire.name).encode_request(inbound.embedding(), facts)
    if inbound.kind == "count_tokens" and wire.name in counters:
        return counters.get(wire.name).encode_request(fitted(inbound.chat(), wire.name, facts).chat, facts)
    raise UnsupportedParameter(f"The model `{facts.upstream_id}` has no endpoint for {inbound.kind}.", param="model")
