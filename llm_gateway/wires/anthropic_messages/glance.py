"""A plain whole answer read at a glance: text and nothing else, as the format says in every field.

``None`` always means: read it in full. So is an answer with thinking, whose signatures have to be
heard of, with calls or with citations.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from llm_gateway.wires._counted import Counted, whole_text

from .names import finish_of
from .usage import Tally, UsageIn

_Filled = Annotated[str, msgspec.Meta(min_length=1)]


class _Text(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    type: Literal["text"]
    text: str
    citations: None = None


class _Answer(msgspec.Struct, gc=False):
    type: Literal["message"]
    id: _Filled
    role: Literal["assistant"]
    model: str
    content: list[_Text]
    stop_reason: _Filled
    stop_sequence: str | None = None
    stop_details: None = None
    usage: UsageIn | None = None
    error: None = None


_decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(_Answer)


def glance(body: bytes) -> Counted | None:
    try:
        answer: _Answer = _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    chars = 0
    for block in answer.content:
        if not whole_text(block.text):
            return None
        chars += len(block.text)
    return Counted(
        model=answer.model,
        finish=finish_of(answer.stop_reason, 0),
        chars=chars,
        content=chars > 0,
        usage=Tally().add(answer.usage) if answer.usage else None,
    )
