"""An answer on its way to be scored, and what is read of it once there is time."""

from __future__ import annotations

import msgspec

from llm_gateway.core.catalog import Target
from llm_gateway.core.chat import ChatRequest
from llm_gateway.core.errors import GatewayError
from llm_gateway.engine.calls import Call
from llm_gateway.engine.ports import Settlement
from llm_gateway.engine.spoken import Spoken
from llm_gateway.scorers import Facts, facts_of
from llm_gateway.wires import wires

_SAYS_HOW = frozenset({"json", "json_schema"})
# A conversation above this is not read again only to know what its tools take.
LARGEST_REQUEST = 512 << 10


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """``at``: Unix seconds of its end; ``finish``: why it ended; ``cut``: it broke off. ``facts``: where they are known already."""

    call: Call
    target: Target | None
    at: float
    finish: str
    cut: bool
    spoken: Spoken | None = None
    facts: Facts | None = None

    @property
    def size(self) -> int:
        return self.spoken.size if self.spoken is not None else 0


class TooLong(ValueError):
    """Not all of it was kept."""


def answered_of(settlement: Settlement) -> Answered:
    return Answered(
        call=settlement.opened.call,
        target=settlement.target,
        at=settlement.at,
        finish=settlement.finish_reason,
        cut=settlement.state == "partial",
        spoken=settlement.spoken,
    )


def read(answered: Answered) -> tuple[str, Facts]:
    """The text and what is known of it. Raises :class:`TooLong`."""
    spoken = answered.spoken
    if spoken is None or not spoken.whole:
        raise TooLong("not all of the answer was kept")
    text, calls = spoken.read()
    if spoken.body is not None and answered.target is not None:
        text = wires.get(answered.target.provider.wire).decode_response(spoken.body).text
    return text, facts_about(answered.call, text, calls, finish=answered.finish, cut=answered.cut)


def facts_about(call: Call, text: str, calls: tuple[tuple[str, str], ...], *, finish: str, cut: bool = False) -> Facts:
    """``finish``: as in the log."""
    inbound = call.inbound
    shape = bool(_SAYS_HOW & inbound.needs)
    chat = _chat(call) if shape or (calls and "tools" in inbound.needs) else None
    wish = chat.response_format if chat is not None and not calls else None
    return facts_of(
        text,
        asked=call.language,
        task_type=call.task_type or "",
        finish=finish,
        cut=cut,
        calls=calls,
        tools={tool.name: tool.parameters for tool in chat.tools if not tool.builtin} if chat is not None and calls else None,
        wants_json=wish is not None and wish.kind != "text",
        schema=wish.schema if wish is not None else None,
    )


def _chat(call: Call) -> ChatRequest | None:
    if len(call.inbound.body) > LARGEST_REQUEST:
        return None
    try:
        return call.inbound.chat()
    except GatewayError:
        return None  # its own format may hold what we do not know
