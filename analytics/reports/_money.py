"""Amounts for cards: cents where there are any, more digits where there are none. Tables and files have the exact figures."""

from __future__ import annotations

from llm_gateway.core.money import to_usd


def money(nusd: int) -> str:
    amount = abs(to_usd(nusd))
    sign = "−" if nusd < 0 else ""
    if amount == 0:
        return "$0.00"
    if amount >= 1:
        return f"{sign}${amount:,.2f}"
    return f"{sign}${amount:.4f}" if amount >= 0.0001 else f"{sign}<$0.0001"
