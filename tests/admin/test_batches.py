"""The page of batches: who may press its buttons, and what they do."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from llm_gateway.models import Batch

from .conftest import signed_in
from .test_pages import fill, name

pytestmark = pytest.mark.django_db


def test_a_batch_is_cancelled_and_retried_by_who_may_change_it_and_money_is_shown_to_who_may_see_it(boss: Client) -> None:
    fill()
    row = Batch.objects.get()
    assert "errors" in boss.get(name(Batch, "change", row.pk)).content.decode().lower()
    listed = boss.get(f"{reverse('admin:llm_gateway_requestlog_changelist')}?batch_id__exact={row.pk}")
    assert listed.status_code == 200
    viewer = signed_in("viewer")
    page = viewer.get(name(Batch, "change", row.pk)).content.decode()
    assert "cost so far" not in page.lower()
    for button in ("cancel", "retry"):
        assert viewer.post(name(Batch, button, row.pk)).status_code == 403
        assert boss.get(name(Batch, button, row.pk)).status_code == 405
    # Its file is gone, so nothing can run again: a sentence, and nothing changes.
    told = boss.post(name(Batch, "retry", row.pk), follow=True).content.decode()
    assert "input file was deleted" in told
    Batch.objects.filter(pk=row.pk).update(state="in_progress", ended_at=None, queued=1, failed=0, cost_nusd=None)
    row.lines.update(state="queued")
    assert "Nothing more of" in boss.post(name(Batch, "cancel", row.pk), follow=True).content.decode()
    row.refresh_from_db()
    assert (row.state, row.cancelled, row.completed) == ("cancelled", 1, 2)


def test_the_page_says_how_far_how_fast_how_long_and_why_not(boss: Client) -> None:
    fill()
    row = Batch.objects.get()
    now = timezone.now()

    def panel(**fields: object) -> str:
        Batch.objects.filter(pk=row.pk).update(**fields)
        answer = boss.get(name(Batch, "state", row.pk))
        assert answer.status_code == 200
        return answer.content.decode()

    told = panel(total=100, queued=55, completed=42, failed=1, running=2, state="in_progress", ended_at=None, cost_nusd=None,
                 started_at=now - timedelta(minutes=5), ends_at=now + timedelta(hours=20))  # fmt: skip
    for word in ("43 of 100", "42 completed", "1 failed", "2 running", "55 queued", "1 × rate_limited", "Cancel the batch"):
        assert word in told
    row.lines.update(ended_at=now)  # one line in the last 30 seconds
    assert "about 28 min left" in panel()
    row.lines.update(ended_at=now - timedelta(hours=1))
    assert "unknown; the window ends in 20 h" in panel()
    row.lines.update(ended_at=now)
    assert "longer than its window, which ends in 10 min" in panel(ends_at=timezone.now() + timedelta(minutes=10))
    row.lines.update(ended_at=now - timedelta(hours=1))
    assert "None of its requests is running" in panel(running=0, queued=57)
    told = panel(pause_reason="The budget is used up.")
    assert "The budget is used up." in told
    assert "None of its requests is running" not in told
    told = panel(pause_reason="", state="completed", queued=0, completed=99, ended_at=now)
    for word in ("Retry what failed", "0.3", "5 min in all", "Results (JSONL)", "Errors (JSONL)", "Code files (zip)"):
        assert word in told
    assert "data-refresh" not in boss.get(name(Batch, "change", row.pk)).content.decode()
    viewer = signed_in("viewer")
    told = viewer.get(name(Batch, "state", row.pk)).content.decode()
    for word in ("Retry what failed", "Cost so far", "Results (JSONL)"):
        assert word not in told
    assert signed_in("finance").get(name(Batch, "state", row.pk)).status_code == 403
    told = panel(state="failed", total=0, completed=0, failed=0, faults=[{"line": 3, "field": "body", "message": "It is <b>wrong</b>."}])
    assert "Line 3, body: It is &lt;b&gt;wrong&lt;/b&gt;." in told
    Batch.objects.update(ended_at=now - timedelta(hours=1))
    assert boss.get(name(Batch, "state", row.pk)).status_code == 204
