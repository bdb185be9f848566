"""What is sent and answered about the quality of answers."""

from __future__ import annotations

from typing import Annotated, Literal, TypeVar

from msgspec import Meta

from llm_gateway.scorers import Quality

from .contract import Body, Word
from .shapes import FindingBody, QualityBody, ScorerBody, Shape

MOST_BYTES = 2 << 20


class ScoreRequest(Body, frozen=True, kw_only=True):
    """Score code that you have: either `code` or `content`."""

    code: Annotated[str, Meta(description="One snippet.", examples=["def add(a, b):\n    return a + b\n"])] | None = None
    content: Annotated[str, Meta(description="Prose with fenced code, as a model answers.")] | None = None
    language: Annotated[Word, Meta(description="Of the snippet, or the one asked for.", examples=["python"])] | None = None
    task_type: Annotated[Word, Meta(description="For example generate, refactor, explain.")] | None = None


class FeedbackRequest(Body, frozen=True, kw_only=True):
    """Say how good an answer was."""

    request_id: Annotated[str, Meta(min_length=32, max_length=40, description="The `id` of the answer, also its `x-request-id`.")]
    score: Annotated[float, Meta(ge=-1, le=1, description="−1: useless, 0: neither, 1: as wished.")]
    outcome: Annotated[Literal["accepted", "edited", "reverted", "tests_passed"], Meta(description="What became of it.")] | None = None


class Score(QualityBody, frozen=True, kw_only=True):
    """What `score` answers: the same object that stands in other answers as `quality`."""


class FeedbackTaken(Shape, frozen=True, kw_only=True):
    request_id: str
    score: float
    outcome: str | None


Q = TypeVar("Q", bound=QualityBody)


def quality_body(quality: Quality, into: type[Q]) -> Q:
    return into(
        score=quality.score,
        formula=quality.formula,
        scorers=[
            ScorerBody(
                name=one.name,
                version=one.version,
                value=one.value,
                findings=[
                    FindingBody(block=f.block, line=f.line, rule=f.rule, severity=f.severity, message=f.message) for f in one.findings
                ],
            )
            for one in quality.scorers
        ],
    )
