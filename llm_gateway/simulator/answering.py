"""Faults that change what is said: the neutral answer is bent before any wire renders it."""

from __future__ import annotations

from dataclasses import replace

from llm_gateway.simulator.content import pieces
from llm_gateway.simulator.faults import Plan
from llm_gateway.simulator.neutral import Answer, Choice

_MEGABYTE = 1_000_000
_ODD = "\u2028line\u0085next\ufeffbom \u2029para\x0bvt\x0cff\x1cfs"


def bend(answer: Answer, plan: Plan) -> Answer:
    """``answer`` under the content faults of ``plan``: empty, filter-out, u2028, hugeevent, hugebody, usage."""
    if plan.get("empty"):
        emptied = replace(answer.first, text="", pieces=(), thinking="", calls=(), finish="stop")
        choices = (emptied,) if "text" in (plan.get("empty") or plan.faults[0]).args else ()
        answer = replace(answer, choices=choices)
    if fault := plan.get("filter-out"):
        answer = replace(answer, choices=tuple(_filtered(one, fault.at or 0) for one in answer.choices))
    if plan.get("u2028"):
        answer = replace(answer, choices=tuple(_said(one, _ODD + one.text + _ODD) for one in answer.choices))
    if fault := plan.get("hugeevent"):
        pieces = (*(f"word{n} " for n in range(fault.at or 0)), "x" * int(min(fault.number(2), 64) * _MEGABYTE))
        answer = replace(answer, choices=tuple(_said(one, "".join(pieces), pieces) for one in answer.choices))
    if fault := plan.get("hugebody"):
        text = "x" * int(min(fault.number(16), 1024) * _MEGABYTE)
        answer = replace(answer, choices=tuple(_said(one, text) for one in answer.choices))
    if fault := plan.get("usage"):
        answer = replace(answer, usage=replace(answer.usage, bend=fault.args[0] if fault.args else "none"))
    return answer


def _filtered(choice: Choice, at: int) -> Choice:
    kept = choice.pieces[:at]
    return replace(choice, text="".join(kept), pieces=kept, finish="content_filter", calls=(), stop_sequence=None)


def _said(choice: Choice, text: str, cut: tuple[str, ...] | None = None) -> Choice:
    return replace(choice, text=text, pieces=pieces(text) if cut is None else cut, calls=(), finish="stop")
