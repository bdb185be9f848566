"""``/v1/responses/compact``: a conversation as the words of its user and a summary, which a model writes like any other answer.

The summary is a ``compaction`` item that callers send back unread. On its way to a provider it becomes a message again, so a conversation
that was compacted goes on at any of them.
"""

from __future__ import annotations

import time
from typing import Any, Final

import msgspec
from typing_extensions import override

from llm_gateway.api.http import HttpCall, HttpReply, request_id
from llm_gateway.core import json
from llm_gateway.core.errors import GatewayError, OutputInvalid
from llm_gateway.wires import Inbound, dialects
from llm_gateway.wires.openai_responses.names import compaction, made_id

from ._generate import generate, refuse
from ._responses import RESPONSES, Turn, items_of

_TASK: Final = (
    "Stop here and do not answer the conversation above. Write a summary of it for whoever takes it over and sees nothing else: what the "
    "user wants, what was decided and why, what was done (names of files, commands and results that still matter), what is left to do and "
    "what has to be minded. Answer with the summary alone."
)
_HEAD: Final = "Summary of the conversation so far:\n\n"
_TAKEN: Final = frozenset(
    {"model", "input", "instructions", "previous_response_id", "prompt_cache_key", "user", "service_tier", "reasoning"}
)
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])
_NOTHING: Final = msgspec.Raw(b"null")


class _Task(Turn):
    """A turn whose input ends with the task. Nothing of it is stored, and a provider that remembers earlier turns gets it whole as well."""

    def __init__(self, http: HttpCall) -> None:
        super().__init__(http, counting=True)
        self.items: list[msgspec.Raw] = []

    @override
    async def body(self) -> bytes:
        """What a request for a summary has no use for, its tools among it, stays out."""
        whole = await super().body()
        try:
            fields = _fields.decode(whole)
        except msgspec.DecodeError:
            return whole  # the dialect says what is wrong with it
        self.items = items_of(fields.get("input", _NOTHING))
        task = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": _TASK}]}
        others = tuple(name for name in fields if name not in _TAKEN)
        return json.edit_object(whole, {"input": [*self.items, task], "store": False, "stream": False}, others)

    @override
    def complete(self, inbound: Inbound) -> Inbound:
        return msgspec.structs.replace(super().complete(inbound), sent=b"", sent_for=None)


async def compact(http: HttpCall) -> HttpReply:
    dialect = dialects.get(RESPONSES)
    turn = _Task(http)
    answer = await generate(turn.http, dialect, {"kind": "chat"}, keeper=turn)
    if answer.status != 200:
        return answer
    response: dict[str, Any] = msgspec.json.decode(answer.body)
    summary = _text(response)
    if not summary.strip():
        return refuse(dialect, _no_summary(), http)
    return msgspec.structs.replace(answer, body=json.dumps(_compacted(http, turn.items, summary, response)))


def _text(response: dict[str, Any]) -> str:
    messages = [item for item in response.get("output") or () if item.get("type") == "message"]
    return "".join(part.get("text") or "" for message in messages for part in message.get("content") or ())


def _no_summary() -> GatewayError:
    return OutputInvalid("The model wrote no summary; send the request again, perhaps to another model.")


def _compacted(http: HttpCall, sent: list[msgspec.Raw], summary: str, response: dict[str, Any]) -> dict[str, Any]:
    own = request_id(http.id)
    kept = [item for raw in sent if _is_users(item := msgspec.json.decode(raw))]
    listed = [_message(item, made_id("msg", own, at)) for at, item in enumerate(kept)]
    token = compaction(_HEAD + summary)
    listed.append({"id": made_id("cmp", own, len(kept)), "type": "compaction", "encrypted_content": token})
    return {
        "id": f"resp_{own}",
        "object": "response.compaction",
        "created_at": int(time.time()),
        "output": listed,
        "usage": response.get("usage"),
    }


def _is_users(item: Any) -> bool:
    return isinstance(item, dict) and item.get("type", "message") == "message" and item.get("role") == "user"


def _message(item: dict[str, Any], item_id: str) -> dict[str, Any]:
    content = item.get("content")
    shown = [{"type": "input_text", "text": content}] if isinstance(content, str) else content
    return {"status": "completed", **item, "id": item.get("id") or item_id, "type": "message", "content": shown}
