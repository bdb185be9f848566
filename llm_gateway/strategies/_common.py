"""Settings that every strategy takes, whatever its file: what happens after an answer that is no use, or one that is late."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ._schema import Flag, Number, Setting, SettingError
from ._settings import flag

# Each may pay for two answers to one request, so they are off unless somebody says otherwise.
FLAGS: dict[str, str] = {
    "content_policy_fallback": "When a provider's content filter refuses, ask another model.",
    "retry_empty": "When an answer has no content, ask the next target; the empty one is paid for all the same.",
}
HEDGE = "hedge_after_ms"
LEAST_HEDGE_MS = 50
MOST_HEDGE_MS = 600_000
COMMON_SCHEMA: tuple[Setting, ...] = (
    *(Flag(name, False, text) for name, text in FLAGS.items()),
    Number(
        HEDGE, None, LEAST_HEDGE_MS, MOST_HEDGE_MS,
        "When nothing of an answer has come after this time, ask the next target, too; the first to answer is taken. Both may be paid for.",
        "ms", whole=True,
    ),
)  # fmt: skip
# Every common setting with what it is when nobody says otherwise.
COMMON: dict[str, Any] = {**dict.fromkeys(FLAGS, False), HEDGE: None}


def split(settings: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """(the strategy's own settings, the common ones that were given). Raises ValueError."""
    own = {name: value for name, value in settings.items() if name not in COMMON}
    common: dict[str, Any] = {name: flag(settings, name, False) for name in FLAGS if name in settings}
    if HEDGE in settings:
        common[HEDGE] = _hedge_after_ms(settings[HEDGE])
    return own, common


def _hedge_after_ms(value: Any) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not LEAST_HEDGE_MS <= value <= MOST_HEDGE_MS:
        raise SettingError(
            HEDGE,
            f"{HEDGE} has to be a whole number of milliseconds from {LEAST_HEDGE_MS} to {MOST_HEDGE_MS}, or null, not {value!r}.",
        )
    return value
