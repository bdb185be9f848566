"""The page of batches: who may press its buttons, and what they do."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

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
