"""Scores, feedback and jobs go with the request they belong to; the key they are sealed with may change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from llm_gateway.actions.purge import erase_subject, purge
from llm_gateway.actions.rotate_encryption import make_encryption_key, rotate_encryption
from llm_gateway.models import AnswerScore, Feedback, JudgeJob, Judgement, RequestLog, ScoreJob
from llm_gateway.stores import judging, vault
from llm_gateway.stores.scores import place, place_of
from tests.analytics import factories

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)


def filled(at: datetime) -> RequestLog:
    key = factories.client_key("bot")
    row = factories.request(at, key, factories.model("one", factories.provider("acme"), ("1", "2")), metadata={"user_id": "ada"})
    AnswerScore.objects.create(request_id=row.pk, formula=1, created_at=at, team=row.team, score=90)
    Feedback.objects.create(request_id=row.pk, client_key=key, score=1, updated_at=at)
    sealed = vault.seal("{}", place=place(row.pk))
    JudgeJob.objects.create(
        request_id=row.pk, created_at=at, expires_at=at + timedelta(hours=1), team=row.team,
        ciphertext=vault.seal("{}", place=judging.place(row.pk)),
    )  # fmt: skip
    Judgement.objects.create(request_id=row.pk, version=1, created_at=at, team=row.team, judge="a/b", state="failed")
    ScoreJob.objects.create(request_id=row.pk, created_at=at, expires_at=at + timedelta(hours=1), team=row.team, ciphertext=sealed)
    return row


def test_what_belongs_to_a_purged_request_goes_with_it() -> None:
    filled(NOW - timedelta(days=900))
    assert purge(NOW, days=400).requests == 1
    assert [model.objects.count() for model in (AnswerScore, Feedback, ScoreJob, JudgeJob, Judgement)] == [0] * 5


def test_an_erased_subject_leaves_its_figures_and_no_text() -> None:
    filled(NOW)
    assert erase_subject("ada") == 1
    assert [model.objects.count() for model in (AnswerScore, Feedback, Judgement, ScoreJob, JudgeJob)] == [1, 1, 1, 0, 0]


def test_a_job_is_moved_to_a_new_key(settings: pytest.FixtureRequest) -> None:
    filled(NOW)
    settings.COGO_ENCRYPTION_KEYS = f"{make_encryption_key()},{settings.COGO_ENCRYPTION_KEYS}"  # type: ignore[attr-defined]
    assert rotate_encryption().failed == ()
    job = ScoreJob.objects.get()
    assert vault.is_current(job.ciphertext)
    assert vault.open_sealed(job.ciphertext, place=place_of(job)).reveal() == "{}"
    judged = JudgeJob.objects.get()
    assert vault.is_current(judged.ciphertext)
    assert vault.open_sealed(judged.ciphertext, place=judging.place_of(judged)).reveal() == "{}"
