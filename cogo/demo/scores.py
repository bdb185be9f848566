"""Scores of answers and what their callers said of them."""

from __future__ import annotations

import random
from datetime import timedelta

from llm_gateway.models import AnswerScore, Feedback
from llm_gateway.scorers import FORMULA

from .traffic import Made
from .writing import write

_GOOD = {"anthropic": 88, "openai": 84, "gemini": 82, "fireworks": 79}
_RULES = ("F401", "E722", "S307", "B006", "unclosed block")


def score(told: list[Made], seed: int) -> int:
    """How many answers were scored."""
    rng = random.Random(seed + 1)  # noqa: S311  # made-up traffic
    rows, said = [], []
    for one in told:
        row = one.request
        if row["state"] != "ok" or not row["attempt_count"] or rng.random() >= one.habit.scored:
            continue
        value = max(0, min(100, round(rng.gauss(_GOOD.get(row["provider_slug"], 80), 9))))
        findings = (
            [{"rule": rng.choice(_RULES), "severity": "warning", "message": "Found in simulated code.", "line": 3}] if value < 82 else []
        )
        rows.append(
            {
                "request_id": row["id"],
                "formula": FORMULA,
                "created_at": row["finished_at"] + timedelta(seconds=2),
                "team_id": row["team_id"],
                "model_id": row["model_id"],
                "provider_slug": row["provider_slug"],
                "simulated": True,
                "language": "python",
                "task_type": "",
                "score": value,
                "coded": True,
                "scorers": [{"name": "lint", "version": 1, "value": value / 100, "findings": findings}],
            }
        )
        if rng.random() < 0.2:
            mood = round(rng.uniform(-1, 1) * 0.4 + (value - 70) / 40, 2)
            said.append(
                {
                    "request_id": row["id"],
                    "client_key_id": row["client_key_id"],
                    "score": max(-1.0, min(1.0, mood)),
                    "outcome": rng.choice(("accepted", "edited", "accepted", "tests_passed")) if mood > 0 else "reverted",
                    "updated_at": row["finished_at"] + timedelta(minutes=4),
                }
            )
    write(Feedback, said)
    return write(AnswerScore, rows)
