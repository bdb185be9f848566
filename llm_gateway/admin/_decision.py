"""The decision record of a request, made readable; and its texts, opened."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llm_gateway.models import RequestBody, RequestLog
from llm_gateway.strategies import fitting

from ._show import words


def readable(decision: Any) -> dict[str, Any] | None:
    """What the pipeline recorded, as rows for the page; what it does not know ends up in ``rest``. ``None``: nothing was recorded."""
    if not isinstance(decision, Mapping) or not decision:
        return None
    data = dict(decision)
    order, scores, skipped, note = data.pop("order", None), data.pop("scores", None), data.pop("skipped", None), data.pop("note", "")
    parts = scores if isinstance(scores, Mapping) else {}
    return {
        "note": text(note),
        "lines": [{"place": place, "target": text(name), "score": text(parts.get(name, ""))} for place, name in enumerate(_list(order), 1)],
        "skipped": [_why(entry) for entry in _list(skipped)],
        "rest": [(words(name), text(value)) for name, value in data.items() if value not in (None, "", [], {})],
    }


def chances(row: RequestLog) -> list[tuple[str, str, str]]:
    """(target, the chance that it stood first, why it was left out) of each candidate of then; empty where no strategy decided or what it
    saw is not kept any more."""
    from llm_gateway.actions._replaying import FIELDS, NotReplayable, Row, Scenes

    if not row.choice:
        return []
    try:
        values = RequestLog.objects.filter(pk=row.pk).values_list(*FIELDS).get()
        scene = Scenes().one(Row(*values))
    except (NotReplayable, RequestLog.DoesNotExist):
        return []
    p = scene.choice.probabilities(len(scene.candidates))
    _, skipped = fitting(scene.candidates, scene.facts)
    return [
        (
            f"{one.target.provider.slug}/{one.target.upstream_id}",
            "—" if p is None else f"{p[place]:.2%}",
            skipped.get(place, ""),
        )
        for place, one in enumerate(scene.candidates)
    ]


def text(value: Any) -> str:
    """One line for any JSON value, without brackets where it can be helped."""
    if isinstance(value, Mapping):
        return ", ".join(f"{words(k)} {text(v)}" for k, v in value.items() if v not in (None, "", [], {}))
    if isinstance(value, list | tuple):
        return ", ".join(text(v) for v in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _why(entry: Any) -> tuple[str, str]:
    if not isinstance(entry, Mapping):
        return text(entry), ""
    return text(entry.get("target", "")), text(entry.get("why", ""))


def texts(body: RequestBody) -> tuple[str, str]:
    """Prompt and answer in clear. What cannot be opened says why instead."""
    return _open(body, "prompt"), _open(body, "answer")


def _open(body: RequestBody, field: str) -> str:
    from llm_gateway.stores import vault

    sealed = getattr(body, field)
    if not sealed:
        return ""
    try:
        return vault.open_sealed(sealed, place=f"requestbody:{body.pk.hex}:{field}").reveal()
    except vault.VaultError as error:
        return f"[{error}]"
