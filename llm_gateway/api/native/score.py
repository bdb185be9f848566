"""POST ``score`` and POST ``feedback``."""

from __future__ import annotations

from uuid import UUID

from asgiref.sync import sync_to_async
from rest_framework.request import Request

from llm_gateway.actions.give_feedback import give_feedback
from llm_gateway.actions.score_answer import score_text
from llm_gateway.core.errors import BodyTooLarge, InvalidRequest, NotFound

from .auth import HasScope
from .host import gateway
from .openapi import documented
from .quality_shapes import MOST_BYTES, FeedbackRequest, FeedbackTaken, Score, ScoreRequest, quality_body
from .views import AsyncAPIView


class ScoreView(AsyncAPIView):
    """Score code without asking a model: structure and syntax, and lint and complexity where the operator switched them on."""

    body = ScoreRequest
    permission_classes = (HasScope("analyze"),)
    example = {"code": "def add(a, b):\n    return a + b\n", "language": "python"}  # noqa: RUF012
    form_fields = ("code", "content", "language", "task_type")

    @documented("score", "Score code", body=ScoreRequest, answer=Score, example=example)
    async def post(self, request: Request) -> Score:
        asked = await self.read(ScoreRequest)
        if (asked.code is None) == (asked.content is None):
            raise InvalidRequest("Send either `code` (one snippet) or `content` (text with fenced code).", param="code")
        text = asked.code if asked.code is not None else asked.content or ""
        if not text.strip():
            raise InvalidRequest("There is nothing to score; send the code.", param="code" if asked.code is not None else "content")
        if len(text.encode("utf-8", "replace")) > MOST_BYTES:
            raise BodyTooLarge(f"Code above {MOST_BYTES >> 20} MB is not scored; send less.")
        made = await score_text(
            gateway(), self.identity, text, bare=asked.code is not None, language=asked.language, task_type=asked.task_type
        )
        return quality_body(made, Score)


class FeedbackView(AsyncAPIView):
    """Say how good an answer was; it is shown with the request and in the quality report. Your last word counts."""

    body = FeedbackRequest
    permission_classes = (HasScope("generate"),)
    example = {"request_id": "019aa0c4-7d3e-7000-8000-000000000000", "score": 1, "outcome": "accepted"}  # noqa: RUF012
    form_fields = ("request_id", "score", "outcome")

    @documented("feedback", "Say how good an answer was", body=FeedbackRequest, answer=FeedbackTaken, example=example)
    async def post(self, request: Request) -> FeedbackTaken:
        asked = await self.read(FeedbackRequest)
        try:
            request_id = UUID(asked.request_id)
        except ValueError:
            raise NotFound("There is no request of this id; use the `x-request-id` of an answer that this team got.") from None
        await sync_to_async(give_feedback)(self.identity, request_id, asked.score, asked.outcome or "")
        return FeedbackTaken(request_id=str(request_id), score=asked.score, outcome=asked.outcome)
