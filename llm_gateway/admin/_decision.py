"""The decision record of a request, made readable; and its texts, opened."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llm_gateway.models import RequestBody

from ._show import words


def readable(decision: Any) -> dict[str, Any] | None:
    """Rows for the page from whatever the pipeline recorded; anything unknown ends up in ``rest``. ``None`` when nothing was recorded."""
    if not isinstance(decision, Mapping) or not decision:
        return None
    data = dict(decision)
    candidates = data.pop("candidates", None)
    order = data.pop("order", None)
    skipped = data.pop("skipped", None)
    tried = data.pop("tried", None)
    note = data.pop("note", "")
    lines = [_candidate(entry, place) for place, entry in enumerate(candidates if isinstance(candidates, list) else [], 1)]
    if isinstance(order, list) and lines and all(isinstance(i, int) and 0 <= i < len(lines) for i in order):
        for line in lines:
            line["place"] = None
        for place, index in enumerate(order, 1):
            lines[index]["place"] = place
        lines.sort(key=lambda line: (line["place"] is None, line["place"] or 0))
    elif isinstance(order, list) and not lines:
        lines = [_candidate(entry, place) for place, entry in enumerate(order, 1)]
    return {
        "note": note,
        "lines": lines,
        "skipped": _pairs(skipped),
        "tried": [text(t) for t in tried] if isinstance(tried, list) else [],
        "rest": [(words(k), text(v)) for k, v in data.items() if v not in (None, "", [], {})],
    }


def text(value: Any) -> str:
    """One line for any JSON value, without brackets where it can be helped."""
    if isinstance(value, Mapping):
        return ", ".join(f"{words(k)} {text(v)}" for k, v in value.items() if v not in (None, "", [], {}))
    if isinstance(value, list | tuple):
        return ", ".join(text(v) for v in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _candidate(entry: Any, place: int) -> dict[str, Any]:
    if not isinstance(entry, Mapping):
        return {"place": place, "model": text(entry), "provider": "", "key": "", "score": "", "why": ""}
    data = dict(entry)
    why = data.pop("skipped", None) or data.pop("why", None) or data.pop("reason", None) or ""
    score = data.pop("score", None)
    parts = data.pop("parts", None) or data.pop("scores", None)
    line = {
        "place": None if why else data.pop("place", place),
        "model": text(data.pop("model", None) or data.pop("upstream_id", "") or ""),
        "provider": text(data.pop("provider", "") or ""),
        "key": text(data.pop("key", None) or data.pop("credential", "") or ""),
        "why": text(why),
    }
    line["score"] = "; ".join(filter(None, (text(score) if score is not None else "", text(parts) if parts else "", text(data) if data else "")))
    return line


def _pairs(skipped: Any) -> list[tuple[str, str]]:
    if isinstance(skipped, Mapping):
        return [(str(k), text(v)) for k, v in skipped.items()]
    pairs = []
    for entry in skipped if isinstance(skipped, list) else []:
        if isinstance(entry, list | tuple) and len(entry) == 2:
            pairs.append((text(entry[0]), text(entry[1])))
        elif isinstance(entry, Mapping):
            data = dict(entry)
            why = data.pop("why", None) or data.pop("reason", "")
            pairs.append((text(data), text(why)))
        else:
            pairs.append((text(entry), ""))
    return pairs


def texts(body: RequestBody) -> tuple[str, str]:
    """Prompt and answer in clear. What cannot be opened says why instead."""
    return _open(body, "prompt"), _open(body, "answer")


def _open(body: RequestBody, field: str) -> str:
    from llm_gateway.stores import vault

    sealed = getattr(body, field)
    if not sealed:
        return ""
    try:
        return vault.open_sealed(sealed, place=f"requestbody:{body.pk}:{field}").reveal()
    except vault.VaultError as error:
        return f"[{error}]"
