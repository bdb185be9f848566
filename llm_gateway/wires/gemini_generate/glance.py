"""A plain whole answer read at a glance: one candidate of text and thoughts, as the format says in
every field.

``None`` always means: read it in full. So is an answer with signatures, which have to be heard of,
with calls, media or grounding, and one whose prompt was blocked.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from llm_gateway.wires._counted import Counted, whole_text

from . import usage
from .names import finish_of

_Filled = Annotated[str, msgspec.Meta(min_length=1)]


class _Part(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    text: str
    thought: bool | None = None


class _Content(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    parts: list[_Part]
    role: Literal["model"] = "model"


class _Candidate(msgspec.Struct, gc=False, forbid_unknown_fields=True, rename="camel"):
    content: _Content
    finish_reason: Literal["STOP", "MAX_TOKENS"]
    index: Literal[0] = 0
    avg_logprobs: float | None = None
    safety_ratings: list[Any] | None = None


class _Answer(msgspec.Struct, gc=False, rename="camel"):
    candidates: Annotated[list[_Candidate], msgspec.Meta(min_length=1, max_length=1)]
    model_version: _Filled
    response_id: str | None = None
    usage_metadata: usage.UsageIn | None = None
    prompt_feedback: None = None
    error: None = None


_decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(_Answer)


def glance(body: bytes) -> Counted | None:
    try:
        answer: _Answer = _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    (candidate,) = answer.candidates
    chars = 0
    for part in candidate.content.parts:
        if not whole_text(part.text):
            return None
        chars += len(part.text)
    return Counted(
        model=answer.model_version,
        finish=finish_of(candidate.finish_reason, 0),
        chars=chars,
        content=chars > 0,
        usage=(usage.decode(answer.usage_metadata, None) or None) if answer.usage_metadata else None,
    )
