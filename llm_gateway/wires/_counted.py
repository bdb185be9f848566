"""What a plain whole answer comes to, read at a glance."""

from __future__ import annotations

import msgspec

from llm_gateway.core.chat import FinishReason
from llm_gateway.core.usage import Usage


class Counted(msgspec.Struct, frozen=True, kw_only=True):
    """What a tally of the answer's events would hold. ``chars``: of generated text, thoughts
    included; ``content``: there is any."""

    model: str
    finish: FinishReason
    chars: int
    content: bool
    usage: Usage | None


def whole_text(text: str) -> bool:
    """Whether it holds no half of a character, as hosts send that cut a text at tokens."""
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            return False
    return True
