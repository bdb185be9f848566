"""Score an answer now, because its caller asked for it, and keep what it came to."""

from __future__ import annotations

from typing import Protocol

from llm_gateway.core.catalog import Identity, Target
from llm_gateway.core.chat import ChatResponse, Refusal, Text
from llm_gateway.core.errors import Overloaded
from llm_gateway.engine.calls import Call
from llm_gateway.probes import Scoring
from llm_gateway.scorers import Facts, Probes, Quality, facts_of, judge, scorers
from llm_gateway.stores.answered import facts_about
from llm_gateway.stores.scores import ScoreBook


class Scores(Protocol):
    """What of the gateway is needed."""

    @property
    def scores(self) -> ScoreBook: ...
    @property
    def scoring(self) -> Scoring: ...


async def score_text(gateway: Scores, identity: Identity, text: str, *, bare: bool, language: str | None, task_type: str | None) -> Quality:
    """``bare``: the text is one snippet. Nothing is kept. Raises :class:`Overloaded`."""
    facts = facts_of(text, bare=bare, asked=language, task_type=task_type or "")
    return await gateway.scoring.score(identity.client_key_id or 0, text, facts, gateway.scores.rule(identity.team_id).using)


async def score_answer(gateway: Scores, call: Call, target: Target | None, response: ChatResponse, finish: str) -> Quality:
    """Never raises for want of room: then the structure is all that is said."""
    return await score_calls(gateway, call, target, *words_of(response), finish)


async def score_calls(
    gateway: Scores, call: Call, target: Target | None, text: str, calls: tuple[tuple[str, str], ...], finish: str
) -> Quality:
    """The same of a stream's text and (tool, arguments) pairs."""
    return await _kept(gateway, call, target, text, facts_about(call, text, calls, finish=finish))


async def _kept(gateway: Scores, call: Call, target: Target | None, text: str, facts: Facts) -> Quality:
    using = gateway.scores.rule(call.identity.team_id).using
    try:
        quality = await gateway.scoring.score(call.identity.client_key_id or 0, text, facts, using)
    except Overloaded:
        return judge(text, facts, Probes(), [scorers.get("structure")])
    gateway.scores.scored(call, target, facts, quality)
    return quality


def words_of(response: ChatResponse) -> tuple[str, tuple[tuple[str, str], ...]]:
    """(text, (tool, arguments) of each call) of the first choice."""
    if not response.choices:
        return "", ()
    choice = response.choices[0]
    text = "".join(part.text for part in choice.parts if isinstance(part, Text | Refusal))
    return text, tuple((call.name, call.arguments) for call in choice.tool_calls if not call.custom)
