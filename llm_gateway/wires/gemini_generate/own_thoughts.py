"""Contents of this format without the thinking that somebody else did."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .names import NO_SIGNATURE, NO_SIGNATURES
from .signatures import is_foreign

_FIELDS = ("thoughtSignature", "thought_signature")


def own_thoughts(contents: Any, foreign: Callable[[str], bool] | None) -> Any:
    """``foreign``: tells signatures that are not this provider's."""
    if not isinstance(contents, list):
        return contents
    kept = []
    for content in contents:
        parts = content.get("parts") if isinstance(content, dict) else None
        if isinstance(parts, list):
            own = [one for part in parts if (one := _own(part, foreign)) is not None]
            if own:
                kept.append({**content, "parts": own})
        else:
            kept.append(content)
    return kept


def _own(part: Any, foreign: Callable[[str], bool] | None) -> Any:
    """A part as it may go; ``None`` where it was nothing but somebody else's thinking."""
    name = next((name for name in _FIELDS if isinstance(part, dict) and isinstance(part.get(name), str)), None)
    if name is None:
        return part
    signature = part[name]
    wrapped = is_foreign(signature)
    if not wrapped and (foreign is None or signature in NO_SIGNATURES or not foreign(signature)):
        return part
    if part.get("functionCall") or part.get("function_call"):
        # A call needs some signature; Google has a word for a call that its model did not make.
        return {**part, name: NO_SIGNATURE}
    if wrapped or part.get("thought") or not part.get("text"):
        return None
    return {key: value for key, value in part.items() if key != name}
