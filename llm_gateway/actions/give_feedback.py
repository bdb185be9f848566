"""Write down what a caller says of an answer."""

from __future__ import annotations

from uuid import UUID

from django.utils import timezone

from llm_gateway.core.catalog import Identity
from llm_gateway.core.errors import InvalidRequest, NotFound
from llm_gateway.models import Feedback, RequestLog


def give_feedback(identity: Identity, request_id: UUID, score: float, outcome: str = "") -> None:
    """The last word of a key on a request counts. Raises :class:`NotFound` for a request that is not of its team, as for one that never
    was."""
    if identity.client_key_id is None:
        raise InvalidRequest("Feedback is given with a client key; a session has none.")
    if not RequestLog.objects.filter(pk=request_id, team_id=identity.team_id).exists():
        raise NotFound("There is no request of this id; use the `x-request-id` of an answer that this team got.")
    said = Feedback(request_id=request_id, client_key_id=identity.client_key_id, score=score, outcome=outcome, updated_at=timezone.now())
    Feedback.objects.bulk_create(
        [said], update_conflicts=True, unique_fields=["request_id", "client_key"], update_fields=["score", "outcome", "updated_at"]
    )
