"""The format's own words, and how foreign things travel in it."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable
from typing import Any, Final

from llm_gateway.wires._issuers import address, parted

NAME: Final = "openai_responses"

_MAX_NAME: Final = 64
_MARK: Final = "cogo:"
_COMPACTED: Final = "cogo:c:"
_MADE: Final = re.compile(r"[a-z]+_cogo_(?P<request>.+)_\d+")

# Fields that never change the answer: another wire leaves them out without a word.
HINTS: Final = frozenset(
    {
        "store",
        "metadata",
        "include",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "safety_identifier",
        "client_metadata",
        "stream_options",
    }
)
# Which of its earlier thoughts the model sees again: a hint too, for where it is left out the
# caller is told.
REASONING_CONTEXT: Final = "reasoning.context"
# What a strict host may refuse although it changes nothing. ``store`` and ``include`` say what is
# kept and returned, so they stay.
DROPPABLE: Final = HINTS - {"store", "include"}
# What the caller said apart from the conversation it is a part of, so that the answer can repeat
# it.
INSTRUCTIONS: Final = "instructions"
# Values that say what is so anyway.
NO_EFFECT: Final[dict[str, object]] = {"background": False, "truncation": "disabled", "top_logprobs": 0}
PLAIN_TIERS: Final = frozenset({"auto", "default"})


def qualified(namespace: str, name: str) -> str:
    """The flat name of a function in a namespace, for models that know no namespaces: 64 characters
    of ``[a-zA-Z0-9_-]``."""
    flat = f"{namespace}{name}" if namespace.endswith("__") else f"{namespace}__{name}"
    flat = "".join(c if c.isascii() and (c.isalnum() or c in "_-") else "_" for c in flat)
    if len(flat) <= _MAX_NAME:
        return flat
    digest = hashlib.sha256(flat.encode()).hexdigest()[:8]
    return f"{flat[: _MAX_NAME - 9]}_{digest}"


def made_id(kind: str, request_id: str, index: int) -> str:
    return f"{kind}_cogo_{request_id}_{index}"


def made_for(item_id: str) -> str | None:
    """The request that an id of ours was made for; ``None`` for an id of anybody else's."""
    match = _MADE.fullmatch(item_id)
    return match["request"] if match else None


def is_ours(item: object) -> bool:
    """A reasoning item of our making (another format's thoughts): OpenAI knows neither its id nor
    its token."""
    match item:
        case {"type": "reasoning", "encrypted_content": str(token)}:
            return token.startswith(_MARK)
        case {"type": "reasoning", "id": str(own)}:
            return own.startswith("rs_cogo_")
        case _:
            return False


def compaction(summary: str) -> str:
    """A summary of our making as a compaction item's ``encrypted_content``; callers send it back
    unread."""
    return f"{_MARK}c:{base64.b64encode(summary.encode()).decode()}"


def summary_of(item: object) -> str | None:
    """The summary in a compaction item of our making; ``None`` for any other item, a provider's own
    compaction included."""
    match item:
        case {"type": "compaction" | "compaction_summary", "encrypted_content": str(token)} if token.startswith(_COMPACTED):
            try:
                return base64.b64decode(token.removeprefix(_COMPACTED)).decode()
            except ValueError:
                return None
        case _:
            return None


def own_items(items: list[Any], foreign: Callable[[str], bool] | None) -> list[Any]:
    """The items without the reasoning that somebody else did. What followed such an item loses its
    id: OpenAI knows the pair and refuses one without the other."""
    kept: list[Any] = []
    dropped = False
    for item in items:
        reasoning = isinstance(item, dict) and item.get("type") == "reasoning"
        if is_ours(item) or (reasoning and foreign is not None and _is_foreign(item, foreign)):
            dropped = dropped or not is_ours(item)
        elif dropped and isinstance(item, dict) and str(item.get("id", "")).startswith(("fc_", "msg_", "ctc_")):
            kept.append({name: value for name, value in item.items() if name != "id"})
        else:
            kept.append(item)
    return kept


def _is_foreign(item: dict[str, Any], foreign: Callable[[str], bool]) -> bool:
    token = item.get("encrypted_content")
    return foreign(token if isinstance(token, str) else str(item.get("id", "")))


# Either of these bytes is in a body that has such an item.
OURS_IN_JSON: Final = (b'"cogo:', b'"rs_cogo_')


def pack(token: str, wire: str | None, redacted: bool, issuer: str | None = None) -> str:
    """Another format's thinking token as ``encrypted_content``; callers send it back unread."""
    return token if wire == NAME and not redacted else f"{_MARK}{'r' if redacted else 's'}:{address(wire, issuer)}:{token}"


def unpack(content: str) -> tuple[str, str | None, bool, str | None]:
    """Token, the wire it belongs to, whether it is a redacted block, and who made it."""
    if not content.startswith(_MARK):
        return content, NAME, False, None
    kind, _, rest = content.removeprefix(_MARK).partition(":")
    maker, _, token = rest.partition(":")
    wire, issuer = parted(maker)
    return token, wire, kind == "r", issuer
