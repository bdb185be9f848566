"""The quality report, against figures computed by hand."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import User
from django.test import Client

from llm_gateway.models import AnswerScore, Feedback, Judgement
from tests.analytics import factories

pytestmark = pytest.mark.django_db
DAY = datetime(2026, 11, 18, 12, 0, tzinfo=UTC)
URL = "/admin/reports/quality/?from=2026-11-01&to=2026-11-18&format=csv"


def scored(model: Any, key: Any, *scores: int | None, at: datetime = DAY, **more: Any) -> list[AnswerScore]:
    rows = []
    for score in scores:
        request = factories.request(at, key, model)
        values = {"language": "python", "task_type": "generate", "coded": True, "formula": 1, **more}
        rows.append(AnswerScore.objects.create(request_id=request.pk, created_at=at, team=key.team, model=model, score=score, **values))
    return rows


def browser() -> Client:
    client = Client()
    client.force_login(User.objects.get_or_create(username="boss", is_superuser=True, is_staff=True)[0])
    return client


def table(address: str = URL) -> list[dict[str, str]]:
    answer = browser().get(address)
    assert answer.status_code == 200
    text = b"".join(answer.streaming_content).decode("utf-8-sig") if answer.streaming else answer.content.decode()
    return list(csv.DictReader(io.StringIO(text)))


def test_scores_are_summed_by_model_language_and_task_with_count_and_interval() -> None:
    acme = factories.provider("acme")
    one, two = factories.model("one", acme, ("1", "2")), factories.model("two", acme, ("1", "2"))
    key = factories.client_key("bot")
    rows = scored(one, key, 100, 90, 80, 30, None)
    scored(one, key, 50, language="go")
    scored(two, key, 100, coded=False)
    scored(two, key, 10, formula=0)
    for said, row in ((1, rows[0]), (-0.5, rows[1])):
        Feedback.objects.create(request_id=row.request_id, client_key=key, score=said, updated_at=DAY)
    python, go = table()
    assert (python["Model"], python["Language"], python["Task"], python["Answers"]) == ("one", "python", "generate", "4")
    # mean 75, standard deviation 31.09, of four: 75 ± 1.96 × 15.55
    assert (python["Score"], python["from"], python["to"]) == ("75.0", "44.5", "100.0")
    assert (float(python["At most 40"]), float(python["Feedback"])) == (0.25, 0.625)
    assert (go["Language"], go["Score"], go["from"]) == ("go", "50.0", "")
    assert [(row["Model"], row["Answers"]) for row in table(URL + "&option=all&by=model")] == [("one", "5"), ("two", "1")]
    assert [row["Answers"] for row in table(URL + "&model=two")] == []
    page = browser().get(URL.replace("&format=csv", "")).content.decode()
    assert "At most 40" in page
    assert "75.0" in page


def test_a_group_that_fell_in_the_last_week_is_marked_and_thirty_answers_are_needed_to_say_so() -> None:
    model = factories.model("one", factories.provider("acme"), ("1", "2"))
    key = factories.client_key("bot")
    scored(model, key, *[95, 100] * 20, at=DAY - timedelta(days=12))
    scored(model, key, *[60, 70] * 14)
    assert table()[0]["Last 7 days"] == ""
    scored(model, key, 60, 70)
    assert table()[0]["Last 7 days"] == "dropped"
    AnswerScore.objects.filter(created_at=DAY).update(score=98)
    assert table()[0]["Last 7 days"] == ""


def test_what_a_judge_said_stands_beside_with_how_often_it_contradicted_itself() -> None:
    model, key = factories.model("one", factories.provider("acme"), ("1", "2")), factories.client_key("bot")
    scored(model, key, 100)
    same = {"team": key.team, "model": model, "language": "python", "task_type": "generate", "created_at": DAY, "judge": "other/j"}
    for number, (state, value, asked, differed) in enumerate(
        (("judged", 0.8, 5, 1), ("judged", 1.0, 4, 0), ("disagreed", None, 5, 4), ("failed", None, 0, 0))
    ):
        made = {"request_id": UUID(int=number), "state": state, "value": value, "asked": asked, "differed": differed}
        Judgement.objects.create(version=2, **same, **made)
        Judgement.objects.create(version=1, **same, **{**made, "value": 0.0 if value else None})
    (row,) = table()
    assert (row["Score"], row["Judged"], float(row["Judge"])) == ("100.0", "2", 0.9)
    assert float(row["Judge disagreed"]) == pytest.approx(5 / 14, abs=1e-6)
    page = browser().get(URL.replace("&format=csv", "")).content.decode()
    assert "two different answers to 35.7% of 14 questions" in page
    assert "Of 2 answers nothing is known" in page
