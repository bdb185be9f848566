"""Answers to nearly the same question: measured in the shadow, served once the measure allows it, measured on for ever."""

from __future__ import annotations

import random

from llm_gateway.core.chat import Refusal, Text, ToolCall
from llm_gateway.policies.agreement import ASKED_ANEW, agree
from llm_gateway.policies.cache_consent import Wish

from .heavy import away
from .ports import Answers
from .remembered import Entry, response_of


def serves(wish: Wish) -> bool:
    """Whether a kept answer is given, or the question asked anew and the two compared."""
    return wish.semantic == "on" and random.random() >= ASKED_ANEW  # noqa: S311  # a sample


async def judge(answers: Answers, alias: str, kept: Entry, fresh: Entry) -> None:
    """Note whether ``kept`` would have done in the place of ``fresh``."""
    one, other = _said(kept), _said(fresh)
    right = await away(len(one) + len(other), agree, one, other)
    answers.judged(alias, right)


def _said(entry: Entry) -> str:
    """All that an answer says; a call with its arguments."""
    response = response_of(entry)
    found: list[str] = []
    for choice in response.choices:
        for part in choice.parts:
            match part:
                case Text() | Refusal():
                    found.append(part.text)
                case ToolCall():
                    found.append(f"{part.name} {part.arguments}")
    return "\n".join(found)
