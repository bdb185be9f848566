"""Settings that every strategy takes, whatever its file: what happens after an answer that is no use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ._settings import flag

# Both pay for two answers to one request, so they are off unless somebody says otherwise.
COMMON: dict[str, str] = {
    "content_policy_fallback": "When a provider's content filter refuses, ask another model.",
    "retry_empty": "When an answer has no content, ask the next target; the empty one is paid for all the same.",
}


def split(settings: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """(the strategy's own settings, the common ones that were given). Raises ValueError."""
    own = {name: value for name, value in settings.items() if name not in COMMON}
    return own, {name: flag(settings, name, False) for name in COMMON if name in settings}
