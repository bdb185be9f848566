"""``item_reference``: an item that the caller was answered and now sends by its id alone, as the AI SDK does whenever ``store`` is on.

Items of the gateway's making are put in their place, for no provider knows them; others are the provider's own and stay.
"""

from __future__ import annotations

from typing import Any

import msgspec

from llm_gateway.core import json
from llm_gateway.core.catalog import Identity
from llm_gateway.core.errors import InvalidJsonBody, InvalidRequest
from llm_gateway.engine.heavy import away
from llm_gateway.stores.responses import ResponseStore
from llm_gateway.wires.openai_responses.names import made_for

KIND = b'"item_reference"'
_NOTHING = msgspec.Raw(b"null")


class _Asked(msgspec.Struct):
    input: msgspec.Raw = _NOTHING


_asked = msgspec.json.Decoder(_Asked)
_items = msgspec.json.Decoder(list[msgspec.Raw])


async def resolve(body: bytes, identity: Identity, store: ResponseStore) -> bytes:
    """The body with our items in place of references to them. Raises the caller's own errors; what cannot be read stays as it is."""
    try:
        items = await away(len(body), _checked, body)
    except json.InvalidJson as error:
        raise InvalidJsonBody(f"The body cannot be read: {error}") from None
    except msgspec.DecodeError:
        return body  # the dialect says what is wrong with it
    known: dict[str, dict[str, Any]] = {}
    whole: list[msgspec.Raw] = []
    for at, raw in enumerate(items):
        item_id = _referred(raw)
        request = made_for(item_id) if item_id else None
        if item_id is None or request is None:
            whole.append(raw)
            continue
        if item_id not in known:
            kept = await store.load_answer(identity, request)
            output = msgspec.json.decode(kept.response).get("output") if kept else None
            known |= {item["id"]: item for item in output or () if "id" in item}
        if item_id not in known and item_id.startswith("rs_"):
            continue  # a thought: the conversation can go on without it
        if item_id not in known:
            raise InvalidRequest(
                f"Item with id '{item_id[:100]}' not found; it expired, was not stored, or belongs to another key. Send the item itself.",
                param=f"input[{at}].id",
            )
        if (shown := shown_again(known[item_id])) is not None:
            whole.append(shown)
    return await away(len(body), json.edit_object, body, {"input": whole})


def _checked(body: bytes) -> list[msgspec.Raw]:
    json.check(body)
    return _items.decode(_asked.decode(body).input)


def _referred(raw: msgspec.Raw) -> str | None:
    if KIND not in bytes(raw):
        return None
    match msgspec.json.decode(raw):
        case {"type": "item_reference", "id": str(item_id)}:
            return item_id
    return None


def shown_again(item: dict[str, Any]) -> msgspec.Raw | None:
    """An item of an earlier answer as input. Ids mean something only to the provider that made them, and so does a thought that it kept
    to itself."""
    if item.get("type") == "reasoning":
        return msgspec.Raw(json.dumps(item)) if item.get("encrypted_content") else None
    return msgspec.Raw(json.dumps({name: value for name, value in item.items() if name not in ("id", "status")}))
