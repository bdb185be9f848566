"""Fields of the neutral conversation in a caller's own words, so that a refusal names what the caller sent."""

from __future__ import annotations

import re
from collections.abc import Mapping

from llm_gateway.core.errors import GatewayError, UnsupportedParameter

_HEAD = re.compile(r"[a-z_]+")


def in_callers_words(error: GatewayError, names: Mapping[str, str]) -> tuple[str, str | None]:
    """Message and field of an error; ``names`` maps the noun's fields to the dialect's. Other errors speak of what they were given."""
    param = error.param
    if not isinstance(error, UnsupportedParameter) or not param:
        return error.message, param
    head = _HEAD.match(param)
    if head and head[0] in names:
        param = names[head[0]] + param[head.end() :]
    message = error.message.replace(f"`{error.param}`", f"`{param}`")
    return (message if param in message else f"{param}: {message}"), param
