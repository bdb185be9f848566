"""A plain whole answer read at a glance: one text, maybe with thoughts, as the format says in every
field.

``None`` always means: read it in full. Whatever is missing, of another type, of another name or of
more than one choice is read in full; so is an error inside a 200, a refusal and a tool call.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec

from llm_gateway.core.chat import FinishReason
from llm_gateway.wires._counted import Counted, whole_text
from llm_gateway.wires._openai.usage import decode_usage

_FINISH: Final = {"stop": FinishReason.STOP, "length": FinishReason.LENGTH, "content_filter": FinishReason.CONTENT_FILTER}


class _Message(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    role: Literal["assistant"]
    content: str | None
    reasoning_content: str | None = None
    reasoning: str | None = None
    refusal: None = None
    tool_calls: None = None
    function_call: None = None
    audio: None = None
    annotations: list[Any] | None = None


class _Choice(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    index: Literal[0]
    message: _Message
    finish_reason: Literal["stop", "length", "content_filter"]
    logprobs: Any = None
    stop_reason: None = None
    content_filter_results: Any = None


class _Answer(msgspec.Struct, gc=False):
    id: Annotated[str, msgspec.Meta(min_length=1)]
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: Annotated[list[_Choice], msgspec.Meta(min_length=1, max_length=1)]
    usage: dict[str, Any] | None = None
    service_tier: str | None = None
    error: None = None
    base_resp: None = None
    x_groq: None = None


_decoder = msgspec.json.Decoder(_Answer)


def glance(body: bytes) -> Counted | None:
    try:
        answer = _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    (choice,) = answer.choices
    message = choice.message
    text, thought = message.content or "", message.reasoning_content or message.reasoning or ""
    if not (whole_text(text) and whole_text(thought)):
        return None
    return Counted(
        model=answer.model,
        finish=_FINISH[choice.finish_reason],
        chars=len(text) + len(thought),
        content=bool(text or thought),
        usage=decode_usage(answer.usage, answer.service_tier) if answer.usage else None,
    )
