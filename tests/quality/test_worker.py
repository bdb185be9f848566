"""The score worker: jobs are claimed once, scored, deleted, and their texts with them."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import msgspec
import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from llm_gateway.actions.score_jobs import LEASE, score_waiting
from llm_gateway.models import AnswerScore, QualityRule, ScoreJob, Team
from llm_gateway.probes import Bench, BenchFailed, Task
from llm_gateway.scorers import Quality, facts_of
from llm_gateway.stores import vault
from llm_gateway.stores.scores import Sealed, place
from tests.quality.seeds import BASE, answer

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.close()


def job(code: str, *, age: timedelta = timedelta(), request_id: UUID | None = None) -> ScoreJob:
    request_id = request_id or uuid4()
    team, _ = Team.objects.get_or_create(slug="t", defaults={"name": "T"})
    sealed = Sealed(text=answer(code), facts=facts_of(answer(code), finish="stop"), using=("structure", "syntax"))
    AnswerScore.objects.create(request_id=request_id, formula=1, created_at=NOW, team=team, score=100, scorers=[])
    return ScoreJob.objects.create(
        request_id=request_id,
        created_at=NOW - age,
        expires_at=NOW - age + timedelta(hours=1),
        team=team,
        ciphertext=vault.seal(msgspec.json.encode(sealed).decode(), place=place(request_id)),
    )


def test_an_answer_is_scored_once_and_its_text_goes_with_the_job(bench: Bench) -> None:
    first, second = job("def f(x:\n    return x\n"), job(BASE)
    assert score_waiting(bench, NOW) == 2
    row = AnswerScore.objects.get(request_id=first.request_id)
    assert (row.score, row.coded, [one["name"] for one in row.scorers]) == (40, True, ["structure", "syntax"])
    assert row.scorers[1]["findings"][0]["line"] == 1
    assert AnswerScore.objects.get(request_id=second.request_id).score == 100
    assert not score_waiting(bench, NOW)
    assert not ScoreJob.objects.exists()


def test_a_job_that_is_held_is_left_alone_and_taken_over_when_its_holder_is_gone(bench: Bench) -> None:
    held = job(BASE)
    ScoreJob.objects.update(tries=1, lease_until=NOW + LEASE)
    assert not score_waiting(bench, NOW)
    assert score_waiting(bench, NOW + 2 * LEASE)
    assert AnswerScore.objects.get(request_id=held.request_id).coded


def test_a_job_that_ended_two_workers_or_is_an_hour_old_is_deleted_and_not_tried(bench: Bench) -> None:
    poison, old = job(BASE), job(BASE, age=timedelta(minutes=61))
    ScoreJob.objects.filter(pk=poison.pk).update(tries=2, lease_until=NOW - timedelta(seconds=1))
    assert not score_waiting(bench, NOW)
    assert not ScoreJob.objects.exists()
    for one in (poison, old):
        row = AnswerScore.objects.get(request_id=one.request_id)
        assert (row.coded, row.score) == (False, 100), "what was known stays"


def test_code_that_ends_its_process_leaves_what_was_known_and_no_text() -> None:
    class Ending(Bench):
        def score(self, task: Task) -> Quality:
            raise BenchFailed("the scoring process ended with -9")

    bomb = job(BASE)
    assert score_waiting(Ending(), NOW)
    assert not ScoreJob.objects.exists()
    assert not AnswerScore.objects.get(request_id=bomb.request_id).coded


def test_no_word_of_the_answer_is_kept_with_its_score(bench: Bench) -> None:
    named = job("def f(x, x):\n    return x\n\n'a_secret_of_theirs' (\n")
    assert score_waiting(bench, NOW)
    row = AnswerScore.objects.get(request_id=named.request_id)
    assert row.scorers[1]["findings"][0]["message"] == "… was never closed"
    assert "secret" not in str(row.scorers)


def test_a_worker_that_is_killed_in_the_middle_leaves_its_jobs_to_the_next(bench: Bench) -> None:
    class Killed(Bench):
        def score(self, task: Task) -> Quality:
            raise KeyboardInterrupt

    for _ in range(3):
        job(BASE)
    with pytest.raises(KeyboardInterrupt):
        score_waiting(Killed(), NOW)
    assert score_waiting(bench, NOW) == 0, "they are held"
    assert score_waiting(bench, NOW + LEASE + timedelta(seconds=1)) == 3
    assert AnswerScore.objects.filter(coded=True, score=100).count() == 3


def test_the_command_works_off_what_waits() -> None:
    waiting = job(BASE, age=NOW - datetime.now(UTC))
    out = io.StringIO()
    call_command("score_answers", "--once", stdout=out)
    assert "1 answers scored" in out.getvalue()
    assert AnswerScore.objects.get(request_id=waiting.request_id).coded


def test_a_second_rule_for_everybody_is_an_error_in_the_form() -> None:
    client = Client()
    client.force_login(User.objects.create_superuser("boss"))
    address = reverse("admin:llm_gateway_qualityrule_add")
    first = client.post(address, {"team": "", "share": "10", "lint": "on"})
    assert first.status_code == 302, first.content.decode()[-2000:]
    assert client.post(address, {"team": "", "share": "20"}).status_code == 200
    assert client.post(address, {"team": Team.objects.create(name="T", slug="t").pk, "share": "101"}).status_code == 200
    (rule,) = QualityRule.objects.all()
    assert (rule.share, rule.lint, str(rule)) == (10, True, "every team")
