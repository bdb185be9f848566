"""What an HTTP status of a provider means when nothing else is known, and what a body that is no
JSON says."""

from __future__ import annotations

import re

from llm_gateway.core.errors import FailureClass as K

_BY_STATUS = {
    400: K.BAD_REQUEST,
    401: K.AUTH,
    402: K.QUOTA,
    403: K.FORBIDDEN,
    404: K.MODEL_GONE,
    408: K.TIMEOUT,
    409: K.CONFLICT,
    412: K.QUOTA,
    413: K.TOO_LARGE,
    422: K.BAD_REQUEST,
    425: K.OVERLOADED,
    429: K.RATE_LIMITED,
    499: K.TIMEOUT,
    503: K.OVERLOADED,
    504: K.TIMEOUT,
    520: K.SERVER_ERROR,
    529: K.OVERLOADED,
}


def kind_of_status(status: int) -> K:
    """The class of a bare status (reliability.md B1)."""
    if known := _BY_STATUS.get(status):
        return known
    if 300 <= status < 400:
        return K.REDIRECT
    return K.SERVER_ERROR if status >= 500 else K.BAD_REQUEST


_MARKUP = re.compile(r"<[^>]*>")


def plain_text(body: bytes) -> str:
    """The words of a text or an HTML page, on one line."""
    return " ".join(_MARKUP.sub(" ", body[:4000].decode("utf-8", "replace")).split())
