"""How values look: badges, money, times. Everything goes through ``format_html`` or a template, so it is escaped."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from llm_gateway.core.keys import KeyState
from llm_gateway.core.money import format_usd, to_usd

NONE = "—"

GOOD, INFO, WARN, BAD, QUIET = "good", "info", "warn", "bad", "quiet"

KEY_TONE = {
    KeyState.VALID: GOOD,
    KeyState.UNCHECKED: QUIET,
    KeyState.INVALID: BAD,
    KeyState.NO_PERMISSION: BAD,
    KeyState.OUT_OF_CREDIT: BAD,
    KeyState.RATE_LIMITED: WARN,
    KeyState.UNREACHABLE: WARN,
}
REQUEST_TONE = {
    "ok": GOOD,
    "open": INFO,
    "partial": WARN,
    "failed": BAD,
    "client_cancelled": QUIET,
    "rejected": WARN,
    "orphaned": BAD,
    "replayed": INFO,
    "cancelled": QUIET,
}
LIFECYCLE_TONE = {"active": GOOD, "deprecated": WARN, "retired": BAD}
HEALTH_TONE = {"open": WARN, "tripped": WARN, "suspended": BAD, "off": QUIET}
LEDGER_TONE = {"held": INFO, "posted": GOOD, "voided": QUIET, "expired": WARN}


def badge(text: object, tone: str = QUIET, title: str = "") -> SafeString:
    return format_html('<span class="cogo-badge cogo-{}" title="{}">{}</span>', tone, title, words(text))


def badges(items: Sequence[object], tone: str = QUIET) -> SafeString | str:
    return format_html_join(" ", '<span class="cogo-badge cogo-{}">{}</span>', ((tone, item) for item in items)) if items else NONE


def words(value: object) -> str:
    return str(value).replace("_", " ")


def key_badge(state: str, enabled: bool = True) -> SafeString:
    if not enabled:
        return badge("switched off", QUIET)
    return badge(state, KEY_TONE.get(KeyState(state), QUIET))


def usd(nusd: int | None, digits: int | None = None) -> str:
    """``$`` and the amount; ``unknown`` stays unknown. ``digits`` cuts what a list has no room for; a real cost never becomes nothing."""
    if nusd is None:
        return "unknown"
    if digits is None:
        return f"${format_usd(nusd)}"
    amount = to_usd(nusd)
    least = Decimal(1).scaleb(-digits)
    if nusd == 0:
        return "$0"
    if 0 < amount < least:
        return f"<${least:f}"
    return f"${amount:,.{digits}f}"


def price(value: Decimal | None) -> str:
    """USD per 1M tokens without trailing zeros."""
    if value is None:
        return NONE
    whole, _, fraction = f"{value:f}".partition(".")
    return f"${whole}.{fraction.rstrip('0').ljust(2, '0')}"


def milliseconds(value: float | None) -> str:
    if value is None:
        return NONE
    if value < 1000:
        return f"{value:.0f} ms"
    return f"{value / 1000:.2f} s" if value < 100_000 else f"{value / 1000:.0f} s"


def count(value: int | None) -> str:
    return NONE if value is None else f"{value:,}"


def ago(moment: datetime | None, now: datetime | None = None) -> SafeString | str:
    """``3 min ago`` or ``in 2 h``, with the exact time as its tooltip."""
    if moment is None:
        return NONE
    seconds = ((now or timezone.now()) - moment).total_seconds()
    size = span(abs(seconds))
    text = "just now" if abs(seconds) < 1.5 else f"{size} ago" if seconds > 0 else f"in {size}"
    at = int(moment.timestamp())
    return format_html('<span class="cogo-nowrap" data-at="{}" title="{} UTC">{}</span>', at, f"{moment:%Y-%m-%d %H:%M:%S}", text)


def span(seconds: float) -> str:
    for limit, unit, size in ((90, "s", 1), (90 * 60, "min", 60), (36 * 3600, "h", 3600), (60 * 86400, "days", 86400)):
        if seconds < limit:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / (30 * 86400):.0f} months"


def nowrap(text: object) -> SafeString:
    return format_html('<span class="cogo-nowrap">{}</span>', text)


def mono(text: object) -> SafeString | str:
    return format_html('<code class="cogo-mono">{}</code>', text) if text else NONE


def link(url: str, text: object) -> SafeString:
    return format_html('<a class="cogo-link" href="{}">{}</a>', url, text)


def button(url: str, text: str, *, tone: str = "", title: str = "") -> SafeString:
    """A button of the surrounding form that POSTs to ``url`` (the form carries the CSRF token), so no link changes anything."""
    return format_html(
        '<button type="submit" class="cogo-button {}" formaction="{}" formmethod="post" title="{}" formnovalidate>{}</button>',
        tone,
        url,
        title,
        text,
    )


def changes(found: object, detail: str = "") -> SafeString | str:
    """Each changed field of an audit entry with its values before and after."""
    pairs = [(words(name.removesuffix("_nusd")), *_pair(name, values)) for name, values in found.items()] if isinstance(found, dict) else []
    if not pairs:
        return detail or NONE
    lines = format_html_join("", '<span class="cogo-change"><b>{}</b> <del>{}</del> → <ins>{}</ins></span>', pairs[:30])
    return format_html('{}<span class="cogo-sub">{}</span>', lines, detail) if detail else lines


def _pair(name: str, values: object) -> tuple[str, str]:
    before, after = values if isinstance(values, list) and len(values) == 2 else (None, values)
    return _value(name, before), _value(name, after)


def _value(name: str, value: object) -> str:
    if value is None or value == "":
        return NONE
    if name.endswith("_nusd") and isinstance(value, int):
        return usd(value)
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
