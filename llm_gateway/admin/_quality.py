"""What is known of an answer's quality, as the request's page shows it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from llm_gateway.models import AnswerScore, Feedback, Judgement
from llm_gateway.scorers import WEIGHTS, scorers

from ._show import BAD, GOOD, NONE, QUIET, WARN, badge

_TONE = {"high": BAD, "medium": WARN, "low": QUIET}


def readable(request_id: UUID) -> dict[str, Any] | None:
    """``None``: neither a score nor feedback."""
    scores = AnswerScore.objects.filter(request_id=request_id).order_by("-formula")
    said = Feedback.objects.filter(request_id=request_id).select_related("client_key").order_by("pk")
    totals = [_total(row) for row in scores]
    heard = [(row.client_key.name, f"{row.score:+g}", row.outcome.replace("_", " ")) for row in said]
    judged = [_judgement(row) for row in Judgement.objects.filter(request_id=request_id).order_by("-version")]
    return {"totals": totals, "feedback": heard, "judged": judged} if totals or heard or judged else None


def _judgement(row: Judgement) -> dict[str, Any]:
    return {
        "value": badge("unknown", QUIET) if row.value is None else badge(f"{round(100 * row.value)} %", _tone(round(100 * row.value))),
        "state": row.get_state_display(),
        "version": row.version,
        "judge": row.judge,
        "reason": row.reason,
        "differed": f"{row.differed} of {row.asked}" if row.asked else NONE,
        "findings": [
            (one.get("rule", ""), f"line {one['line']}" if one.get("line") else "the answer", one.get("message", ""))
            for one in row.findings
        ],
        "requests": [one for one in (row.first, row.second) if one],
    }


def _total(row: AnswerScore) -> dict[str, Any]:
    return {
        "score": badge("unknown", QUIET) if row.score is None else badge(row.score, _tone(row.score)),
        "formula": row.formula,
        "coded": row.coded,
        "language": row.language or NONE,
        "lines": [_line(one) for one in row.scorers if isinstance(one, dict)],
    }


def _line(one: dict[str, Any]) -> dict[str, Any]:
    name, value = str(one.get("name", "")), one.get("value")
    known = scorers.get(name) if name in scorers else None
    return {
        "title": known.title if known else name,
        "summary": known.summary if known else "",
        "version": one.get("version"),
        "weight": WEIGHTS.get(known.kind, 0) if known else NONE,
        "value": "unknown, left out" if value is None else f"{round(100 * value)} %",
        "findings": [
            {
                "badge": badge(finding.get("severity", ""), _TONE.get(finding.get("severity", ""), QUIET)),
                "rule": finding.get("rule", ""),
                "place": _place(finding),
                "message": finding.get("message", ""),
            }
            for finding in one.get("findings", [])
        ],
    }


def _place(finding: dict[str, Any]) -> str:
    parts = [f"{name} {finding[name]}" for name in ("block", "line") if finding.get(name)]
    return ", ".join(parts) or "the answer"


def _tone(score: int) -> str:
    return GOOD if score >= 90 else WARN if score > 40 else BAD
