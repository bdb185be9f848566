"""Gemini signs tool calls and wants its signature back; formats whose calls have no place for one
carry it as a thought before the call.

What they send back is put on the call again by Gemini's encoder.
https://ai.google.dev/gemini-api/docs/thought-signatures
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from llm_gateway.core.chat import Part, Thinking, ToolCall
from llm_gateway.core.events import Event, ThinkingMark, ToolStart

SIGNER = "gemini_generate"


def told(events: Iterable[Event]) -> Iterator[Event]:
    for event in events:
        if isinstance(event, ToolStart) and event.signature:
            yield ThinkingMark(event.signature, None, SIGNER, None, event.choice, event.issuer)
        yield event


def shown(parts: Iterable[Part]) -> tuple[Part, ...]:
    """The same of a whole answer."""
    found: list[Part] = []
    for part in parts:
        if isinstance(part, ToolCall) and part.signature:
            before = found[-1] if found else None
            if isinstance(before, Thinking) and not (before.signature or before.redacted or before.id):
                found[-1] = msgspec.structs.replace(before, signature=part.signature, wire=SIGNER, issuer=part.issuer)
            else:
                found.append(Thinking(signature=part.signature, wire=SIGNER, issuer=part.issuer))
        found.append(part)
    return tuple(found)
