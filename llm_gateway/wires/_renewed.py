"""A kept answer given once more: the same body, with an id and a time of its own."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from llm_gateway.core.json import edit_object

# (body, request id, Unix seconds) to the body of another answer that says the same.
Renewer = Callable[[bytes, str, int], bytes]

_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])


def renewer(id_field: str, prefix: str, times: tuple[str, ...] = ()) -> Renewer:
    """``times``: fields in Unix seconds, of which only those that the body has are set anew."""

    def renew(body: bytes, request_id: str, now: int) -> bytes:
        given = _fields.decode(body)
        changes: dict[str, str | int] = {id_field: f"{prefix}{request_id}"}
        changes |= {name: now for name in times if name in given and bytes(given[name]) != b"null"}
        return edit_object(body, changes)

    return renew
