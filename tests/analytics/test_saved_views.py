"""People keep filters under a name; nobody sees or deletes another's."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from analytics.models import SavedView
from analytics.saved_views import LONGEST, MOST
from tests.admin.conftest import signed_in

pytestmark = pytest.mark.django_db
SAVE = "/admin/reports/cost/views/"


def test_a_view_is_kept_shown_replaced_and_deleted() -> None:
    one, other = signed_in("viewer"), signed_in("auditor")
    answer = one.post(SAVE, {"name": "  Last   week ", "query": "range=7&by=model&format=csv"})
    assert answer.headers["Location"] == "/admin/reports/cost/?range=7&by=model"
    html = one.get("/admin/reports/cost/?range=7&by=model").content.decode()
    assert "Last week" in html
    assert 'aria-current="page"' in html
    assert (
        'aria-current="page"'
        not in one.get("/admin/reports/cost/?range=30").content.decode().split("cogo-views")[1].split("cogo-filters")[0]
    )
    for elsewhere in (other.get("/admin/reports/cost/"), one.get("/admin/reports/performance/")):
        assert "Last week" not in elsewhere.content.decode()
    one.post(SAVE, {"name": "Last week", "query": "range=30"})
    row = SavedView.objects.get()
    assert row.query == "range=30"
    delete = reverse("reports:delete_view", args=["cost", row.pk])
    assert other.post(delete).status_code == 404
    assert one.post(reverse("reports:delete_view", args=["savings", row.pk])).status_code == 404
    assert one.get(delete).status_code == 405
    assert one.post(delete).status_code == 302
    assert not SavedView.objects.exists()


def test_nonsense_is_said_and_strangers_are_turned_away() -> None:
    reader = signed_in("viewer")
    for sent in ({}, {"name": "   "}, {"name": "x", "query": f"tag={'y' * LONGEST}"}, {"name": "\x00", "query": "a=1"}):
        assert reader.post(SAVE, sent).status_code == 302, sent
    assert not SavedView.objects.exists()
    for n in range(MOST + 2):
        reader.post(SAVE, {"name": f"view {n}", "query": "&".join(["a=1"] * 500) if n == 0 else "range=7"})
    assert SavedView.objects.count() == MOST
    html = "<script>alert(1)</script>"
    SavedView.objects.filter(pk=SavedView.objects.earliest("pk").pk).update(name=html)
    assert html not in reader.get("/admin/reports/cost/").content.decode()
    assert signed_in("nobody").post(SAVE, {"name": "x"}).status_code == 403
    assert Client().post(SAVE, {"name": "x"}).status_code == 302
    assert Client(enforce_csrf_checks=True).post(SAVE, {"name": "x"}).status_code in (302, 403)
    assert reader.post("/admin/reports/nonsense/views/", {"name": "x"}).status_code == 404
