"""What the page of one request shows: facts, the refusal as its caller read it, the time line, the bill, and where to go from here."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html

from llm_gateway.core.usage import PROMPT
from llm_gateway.models import Attempt, Budget, Price, RequestLog

from ._conversation import snippets
from ._costing import arithmetic
from ._show import NONE, REQUEST_TONE, badge, count, link, milliseconds, usd, words

_CLASSES = (
    *("input", "output", "cache_read", "cache_write", "cache_write_1h", "reasoning"),
    *("audio_input", "audio_output", "image_input", "image_output"),
)
_SUMS = {"limit_usd": "Limit", "spent_usd": "Spent then", "reset_at": "Until", "budget": "Budget"}
# Where the time line ends to the right, so that the shortest bar can still be seen.
_LEAST_PERCENT = 0.6


def context(row: RequestLog, request: HttpRequest) -> dict[str, Any]:
    attempts = list(row.attempts.select_related("provider_key").order_by("number"))
    rate = Price.objects.filter(pk=row.price_id).first() if row.price_id else None
    names = _CLASSES
    return {
        "facts": _facts(row),
        "usage": [(words(n), count(v)) for n in names if (v := getattr(row, f"{n}_tokens")) is not None],
        "rate": rate,
        "bill": arithmetic(row, rate, attempts),
        "held": usd(row.hold_nusd),
        "refusal": _refusal(row, request),
        "timeline": timeline(row, attempts),
        "snippets": snippets(row, request.build_absolute_uri("/").rstrip("/")),
        "explain_url": _explain_url(row) if request.user.has_perm("llm_gateway.view_strategy") else "",
        "playground_url": playground_url(row),
    }


def _facts(row: RequestLog) -> list[tuple[str, object]]:
    """Labelled values, in the order an operator asks for them."""
    served = row.model.name if row.model else NONE
    client: object = "staff, from the browser"
    if row.client_key:
        client = link(reverse("admin:llm_gateway_clientkey_change", args=[row.client_key_id]), row.client_key.name)
    facts: list[tuple[str, object]] = [
        ("Arrived", f"{row.created_at:%Y-%m-%d %H:%M:%S} UTC"),
        ("Client", client),
        ("From", row.address or NONE),
        ("Team", row.team.name),
        ("Asked for", row.asked_model or "no model"),
        ("Answered by", f"{served} at {row.provider_slug}" if row.provider_slug else NONE),
        ("The provider called it", row.served_model or NONE),
        ("Strategy", row.strategy or _without_strategy(row)),
        ("API", f"{words(row.dialect)}, {row.kind}{', streamed' if row.stream else ''}"),
        ("Status", f"{row.http_status or NONE} {row.error_code}".strip()),
        ("Ended with", row.finish_reason or NONE),
        ("Took", milliseconds(row.latency_ms)),
        ("First token after", milliseconds(row.ttft_ms)),
        ("Worker", row.worker or NONE),
        ("Tag", _search(row.tag) if row.tag else NONE),
    ]
    if user := end_user(row):
        facts.append(("End user", link(f"{_list()}?{urlencode({'end_user': user})}", user)))
    if row.cache:
        facts.append(("Answer cache", _cache(row)))
    if row.flags:
        facts.append(("Remarks", row.flags))
    return facts


def _cache(row: RequestLog) -> object:
    """What became of the wish; of a hit, what it saved and whose answer it was."""
    origin = (row.decision or {}).get("cached_from", "") if isinstance(row.decision, dict) else ""
    if not origin:
        return row.cache
    saved = f", saved {usd(row.saved_nusd)}" if row.saved_nusd is not None else ""
    first = link(reverse("admin:llm_gateway_requestlog_change", args=[origin]), "that of another request")
    return format_html("{}{}; the answer is {}", row.cache, saved, first)


def _without_strategy(row: RequestLog) -> str:
    """Who names a model gets it; a request that was refused before a target was chosen came to no strategy."""
    if row.state == "rejected":
        return "none: refused before one was asked"
    return "none: a model was named" if row.asked_model else NONE


def end_user(row: RequestLog) -> str:
    said = row.metadata if isinstance(row.metadata, dict) else {}
    return str(said.get("user_id") or said.get("user") or "")[:200]


def _refusal(row: RequestLog, request: HttpRequest) -> dict[str, Any] | None:
    """The caller's own words and sums. Rows of before kept none."""
    if not row.error_message:
        return None
    details = row.error_details if isinstance(row.error_details, dict) else {}
    facts = [(_SUMS.get(name, words(name).capitalize()), _sum(name, value)) for name, value in details.items() if value not in (None, "")]
    budget = row.refused_by_id
    seen = budget is not None and request.user.has_perm("llm_gateway.view_budget") and Budget.objects.filter(pk=budget).exists()
    return {
        "message": row.error_message,
        "facts": facts,
        "budget_url": reverse("admin:llm_gateway_budget_change", args=[budget]) if seen else "",
        "others_url": f"{_list()}?budget={budget}" if budget is not None else "",
    }


def _sum(name: str, value: Any) -> str:
    return (
        f"${value}"
        if name.endswith("_usd")
        else str(value).replace("T", " ").replace("+00:00", " UTC")
        if name == "reset_at"
        else str(value)
    )


def timeline(row: RequestLog, attempts: list[Attempt]) -> list[dict[str, Any]]:
    """Bars in percent of the time from the arrival to the last end: what each attempt waited for its first token, and what it took."""
    begins = [max(0.0, (one.started_at - row.created_at).total_seconds() * 1000) for one in attempts]
    ends = [begin + (one.latency_ms or 0) for begin, one in zip(begins, attempts, strict=True)]
    whole = max([*ends, float(row.latency_ms or 0), 1.0])
    found = []
    for one, begin in zip(attempts, begins, strict=True):
        took = one.latency_ms or 0
        waited = min(one.ttft_ms if one.ttft_ms is not None else took, took)
        found.append(
            {
                "number": one.number,
                "target": f"{one.upstream_id.rsplit('/', 1)[-1]} at {one.provider_slug}",
                "outcome": badge(one.outcome, REQUEST_TONE.get(one.outcome, "quiet")),
                "tone": REQUEST_TONE.get(one.outcome, "quiet"),
                "left": f"{100 * begin / whole:.2f}",
                "waited": f"{100 * waited / whole:.2f}",
                "answered": f"{max(100 * (took - waited) / whole, _LEAST_PERCENT if waited == 0 else 0):.2f}",
                "said": f"began after {milliseconds(begin)}, first token {milliseconds(one.ttft_ms)}, took {milliseconds(one.latency_ms)}",
                "why": words(one.error_class),
            }
        )
    return found


def _explain_url(row: RequestLog) -> str:
    """Explain, with what the log knows of this request filled in."""
    asked: dict[str, object] = {"model": row.asked_model or "auto"}
    prompt = sum(getattr(row, name) or 0 for name in PROMPT)
    if prompt:
        asked["prompt_tokens"] = prompt
    asked.setdefault("prompt_tokens", 2000)
    asked["max_tokens"] = row.output_tokens or 1000
    if row.client_key is not None and row.client_key.revoked_at is None:
        asked["client_key"] = row.client_key.public_id
    if row.stream:
        asked["stream"] = "on"
    return f"{reverse('admin:llm_gateway_strategy_explain')}?{urlencode(asked)}"


def playground_url(row: RequestLog) -> str:
    try:
        return f"{reverse('admin:playground')}?{urlencode({'request': row.pk})}"
    except NoReverseMatch:
        return ""


def _list() -> str:
    return reverse("admin:llm_gateway_requestlog_changelist")


def _search(text: str) -> str:
    return link(f"{_list()}?{urlencode({'q': text})}", text)
