"""What an execution keeps to: rights, budgets, turns, the books."""

from __future__ import annotations

import json
import time
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from .conftest import Lane, chat


def row(batch: str) -> Any:
    from llm_gateway.models import Batch

    return Batch.objects.get(pk=UUID(batch.removeprefix("batch_")))


def test_each_line_has_a_row_a_hold_and_a_ledger_entry_and_the_batch_costs_what_they_cost(lane: Lane) -> None:
    from django.db.models import Sum

    from llm_gateway.models import LedgerEntry, RequestLog

    lane.gateway.program("busy", "status:429", "ok", "status:429")
    batch = lane.create([*[chat(n) for n in range(1, 9)], chat(9, "chat/busy"), chat(10, "chat/fault:status:400")]).json()["id"]
    with lane.runner():
        ended = lane.ended(batch)
    assert ended["request_counts"] == {"total": 10, "completed": 9, "failed": 1}
    rows = RequestLog.objects.filter(batch_id=UUID(batch.removeprefix("batch_")))
    assert set(rows.values_list("origin", flat=True)) == {"batch"}
    assert rows.filter(state="ok").count() == 9
    cost = rows.aggregate(sum=Sum("cost_nusd"))["sum"]
    assert cost > 0
    assert row(batch).cost_nusd == cost == LedgerEntry.objects.filter(request__in=rows).aggregate(sum=Sum("amount_nusd"))["sum"]
    failed = lane.results(ended, "error_file_id")[0]
    assert (failed["custom_id"], failed["response"]["status_code"]) == ("c10", 400)
    assert ended["usage"]["output_tokens"] == 9 * 8


def test_a_key_is_judged_when_its_line_is_executed(lane: Lane) -> None:
    from llm_gateway.actions.revoke_client_key import revoke_client_key
    from llm_gateway.models import ClientKey

    key = lane.gateway.issue("soon revoked", models=["chat/echo"])
    mine = Lane(lane.gateway, key)
    batch = mine.create([chat(1), chat(2, "claude/other")]).json()["id"]
    with lane.runner():
        ended = mine.ended(batch)
    assert mine.results(ended, "error_file_id")[0]["response"]["status_code"] == 404
    second = mine.create([chat(1)]).json()["id"]
    revoke_client_key(ClientKey.objects.get(name="soon revoked"))
    lane.gateway.refresh()
    with lane.runner():
        until = time.monotonic() + 10
        while (found := row(second)).ended_at is None:
            assert time.monotonic() < until
            time.sleep(0.02)
    assert (found.failed, found.lines.get().error_code, found.lines.get().status) == (1, "key_revoked", 401)


@pytest.mark.slow
def test_a_hard_budget_pauses_a_batch_and_a_raised_limit_lets_it_go_on_to_the_end(lane: Lane) -> None:
    from llm_gateway.models import Batch, Budget

    # A line's worst case is about 45,000 nUSD, so some of the twenty fit and not all.
    key = lane.gateway.issue("poor", budget_usd=Decimal("0.0003"), period="total")
    mine = Lane(lane.gateway, key)
    batch = mine.create([chat(n) for n in range(1, 41)]).json()["id"]
    with lane.runner(places=4):
        until = time.monotonic() + 15
        while not (found := row(batch)).pause_reason:
            assert time.monotonic() < until, (found.state, found.completed, found.queued)
            time.sleep(0.02)
        time.sleep(0.3)
        found = row(batch)
        budget = Budget.objects.get(client_key__name="poor")
        assert 0 < found.completed < 40
        assert budget.posted_nusd + budget.held_nusd <= budget.limit_nusd
        assert mine.get(f"/v1/batches/{batch}").json()["status"] == "in_progress"
        budget.limit_nusd *= 100
        budget.save(update_fields=["limit_nusd"])
        Batch.objects.filter(pk=found.pk).update(look_again_at=found.created_at)
        ended = mine.ended(batch)
    assert ended["request_counts"] == {"total": 40, "completed": 40, "failed": 0}


def test_a_caller_who_wants_no_wait_has_the_rest_fail_when_the_budget_is_used_up(lane: Lane) -> None:
    key = lane.gateway.issue("poor and hasty", budget_usd=Decimal("0.0003"), period="total")
    mine = Lane(lane.gateway, key)
    batch = mine.create([chat(n) for n in range(1, 41)], metadata={"cogo_on_budget": "fail"}).json()["id"]
    with lane.runner(places=4):
        ended = mine.ended(batch)
    counts = ended["request_counts"]
    assert counts["completed"] > 0
    assert counts["failed"] == 40 - counts["completed"]
    codes = {(one["error"] or one["response"]["body"]["error"])["code"] for one in mine.results(ended, "error_file_id")}
    assert codes == {"insufficient_quota"}


@pytest.mark.slow
def test_ten_lines_of_one_team_do_not_wait_behind_three_hundred_of_another(lane: Lane) -> None:
    from llm_gateway.models import Team

    other = Team.objects.create(name="Small", slug="small")
    small = Lane(lane.gateway, lane.gateway.issue("small", team=other))
    large = lane.create([chat(n) for n in range(1, 301)]).json()["id"]
    ten = small.create([chat(n) for n in range(1, 11)]).json()["id"]
    with lane.runner(places=4):
        small.ended(ten)
        done = row(large).completed
        lane.ended(large)
    assert done < 100


@pytest.mark.slow
def test_a_pushed_back_line_waits_and_is_answered_in_the_end(lane: Lane) -> None:
    lane.gateway.program("slow", *["status:429:retry_after=1"] * 3)
    batch = lane.create([chat(1, "chat/slow")]).json()["id"]
    with lane.runner():
        ended = lane.ended(batch, within_s=90)
    assert ended["request_counts"] == {"total": 1, "completed": 1, "failed": 0}


def test_what_is_erased_is_gone_from_results_and_from_the_file(lane: Lane) -> None:
    from llm_gateway.actions.purge import erase_subject
    from llm_gateway.models import BatchResult
    from llm_gateway.stores import files

    batch = lane.create([chat(1, user="person-7"), chat(2)]).json()
    with lane.runner():
        ended = lane.ended(batch["id"])
    before = b"".join(files.chunks(row(batch["id"]).input_id))
    assert erase_subject("person-7") == 1
    after = b"".join(files.chunks(row(batch["id"]).input_id))
    assert b"person-7" in before
    assert b"person-7" not in after
    assert len(after) == len(before)
    assert b'"c2"' in after
    assert BatchResult.objects.filter(line__batch=row(batch["id"])).count() == 1
    assert lane.results(ended)[1]["custom_id"] == "c2"


def test_old_batches_and_files_go_with_everything_in_them_and_sealed_bytes_follow_a_new_key(lane: Lane, settings: Any) -> None:
    from datetime import UTC, datetime, timedelta

    from llm_gateway.actions.rotate_encryption import make_encryption_key, rotate_encryption
    from llm_gateway.models import Batch, BatchLine, BatchResult, FileChunk, StoredFile
    from llm_gateway.stores.batch_results import purge

    batch = lane.create([chat(1)]).json()["id"]
    with lane.runner():
        ended = lane.ended(batch)
    before, new = settings.COGO_ENCRYPTION_KEYS, make_encryption_key()
    settings.COGO_ENCRYPTION_KEYS = f"{new},{before}"
    assert rotate_encryption().failed == ()
    settings.COGO_ENCRYPTION_KEYS = new
    assert lane.results(ended)[0]["custom_id"] == "c1"
    # The other tests of this gateway have the key of before.
    settings.COGO_ENCRYPTION_KEYS = f"{before},{new}"
    assert rotate_encryption().failed == ()
    purge(datetime.now(UTC) + timedelta(days=31))
    assert not any(model.objects.exists() for model in (Batch, BatchLine, BatchResult, FileChunk, StoredFile))


def test_the_end_of_a_batch_is_told_once_signed_and_again_until_it_is_heard(lane: Lane) -> None:
    import hashlib
    import hmac
    from datetime import UTC, datetime, timedelta

    from llm_gateway.actions.tell_batch_ended import tell_due

    secret = "a secret of this test"
    hook = {"cogo_webhook": "https://example.test/hook", "cogo_webhook_secret": secret, "job": "7"}
    batch = lane.create([chat(1)], metadata=hook).json()
    assert batch["metadata"] == {"job": "7"}
    assert secret not in str(row(batch["id"]).__dict__)
    with lane.runner():
        lane.ended(batch["id"])
    heard: list[tuple[str, bytes, dict[str, str]]] = []
    answers = [500, 204]

    async def post(url: str, body: bytes, headers: dict[str, str], private: bool) -> int:
        assert not private
        heard.append((url, body, headers))
        return answers.pop(0)

    now = datetime.now(UTC)
    assert tell_due(now, post) == 0
    assert tell_due(now + timedelta(seconds=1), post) == 0
    assert tell_due(now + timedelta(minutes=1), post) == 1
    assert tell_due(now + timedelta(minutes=10), post) == 0
    url, body, headers = heard[-1]
    assert (len(heard), url) == (2, "https://example.test/hook")
    assert json.loads(body) == {
        "type": "batch.completed",
        "data": {
            "id": batch["id"],
            "counts": {"total": 1, "completed": 1, "failed": 0, "expired": 0, "cancelled": 0},
            "metadata": {"job": "7"},
        },
    }
    stamp, _, signature = headers["x-cogo-signature"].partition(",v1=")
    assert hmac.digest(secret.encode(), stamp.removeprefix("t=").encode() + b"." + body, hashlib.sha256).hex() == signature
