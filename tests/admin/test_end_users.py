"""End users in the console: found by name, shown with what was spent for them, and given a budget."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from llm_gateway.models import Budget, RequestLog
from llm_gateway.policies.end_users import pseudonym
from llm_gateway.stores import vault
from tests.analytics import factories

from .forms import post

pytestmark = pytest.mark.django_db


def test_requests_are_found_by_an_end_users_name_and_summed_in_a_report(boss: Client) -> None:
    key = factories.client_key()
    served = factories.model("m", factories.provider())
    alice = pseudonym(vault.end_user_key(), key.team_id, "alice")
    rows = [factories.request(timezone.now() - timedelta(minutes=n + 1), key, served) for n in range(3)]
    RequestLog.objects.filter(pk__in=[rows[0].pk, rows[1].pk]).update(end_user=alice, metadata={"user_id": "alice"})
    for query in ("end_user=alice", f"end_user={alice}", "q=alice"):
        found = boss.get(f"/admin/llm_gateway/requestlog/?{query}").context["cl"].result_list
        assert {row.pk for row in found} == {rows[0].pk, rows[1].pk}, query
    assert list(boss.get("/admin/llm_gateway/requestlog/?end_user=al").context["cl"].result_list) == []
    page = boss.get("/admin/reports/end-users/").content.decode()
    assert "alice" in page
    assert alice in page


def test_a_budget_is_given_to_an_end_user_without_keeping_the_name(boss: Client) -> None:
    key = factories.client_key()
    add = "/admin/llm_gateway/budget/add/"
    assert "choose one of them" in post(boss, add, name="b", limit_usd="1", end_user_name="alice").content.decode()
    assert post(boss, add, name="b", limit_usd="1", end_user_name="alice", client_key=key.pk).status_code == 302
    row = Budget.objects.get()
    assert row.end_user == pseudonym(vault.end_user_key(), key.team_id, "alice")
    assert "one end user of this key" in boss.get("/admin/llm_gateway/budget/").content.decode()
    url = f"/admin/llm_gateway/budget/{row.pk}/change/"
    assert post(boss, url, name="renamed").status_code == 302
    row.refresh_from_db()
    assert row.end_user, "an empty field keeps it"
