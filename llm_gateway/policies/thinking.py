"""Whether a provider refused a request because of thinking in its history that it cannot read,
which one more try without it mends."""

from __future__ import annotations

import re

from llm_gateway.core.errors import Failure

_STATUSES = frozenset((400, 404, 422))
_CODES = frozenset(("invalid_encrypted_content", "invalid_thought_signature"))
# Anthropic: "messages.1.content.0: Invalid `signature` in `thinking` block", "Expected `thinking`
# or `redacted_thinking`, but found `tool_use`", "`thinking` or `redacted_thinking` blocks in the
# latest assistant message cannot be modified". OpenAI: "The encrypted content … could not be
# verified", "Item 'rs_…' of type 'reasoning' was provided without its required following item",
# "Item with id 'rs_…' not found". Google: "Thought signature is not valid", "Corrupted thought
# signature", "Function call is missing a thought_signature". A block without its token:
# "messages.1.content.0.thinking.signature: Field required". Chat hosts that take no thoughts back:
# Groq's "property 'reasoning_content' is unsupported", Fireworks' "Extra inputs are not permitted,
# field: 'messages[1].reasoning_content'", OpenAI's "Unknown parameter: 'messages[1].reasoning'".
_NO_PLACE = r"(?:unsupported|not supported|not permitted|unexpected|unknown|unrecognized|forbidden|not allowed)"
_FIELD = r"(?:\breasoning_(?:content|details)\b|messages\S{0,12}\.(?:\w+\.)?reasoning\b)"
_WORDS = re.compile(
    r"signature[`']? in [`']?(?:redacted_)?thinking|invalid [`']?(?:signature|data)[`']? in|expected [`']?(?:redacted_)?thinking|"
    r"thinking[`']? blocks?\b.{0,80}(?:cannot be modified|must|invalid)|"
    r"encrypted[ _]content.{0,200}(?:verif|decrypt|parsed|invalid)|(?:invalid|verify|decrypt).{0,80}encrypted[ _]content|"
    r"'?rs_[\w-]+'?.{0,80}(?:not found|without its required)|without its required '?reasoning|"
    r"thought[ _]?signature|thinking\.signature|redacted_thinking\.data|"
    rf"{_FIELD}.{{0,80}}{_NO_PLACE}|{_NO_PLACE}.{{0,80}}{_FIELD}",
    re.IGNORECASE | re.DOTALL,
)


def refuses_thinking(failure: Failure) -> bool:
    if failure.status not in _STATUSES:
        return False
    return (failure.code or "") in _CODES or bool(_WORDS.search(f"{failure.message} {failure.param or ''}"))
