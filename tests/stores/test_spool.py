"""What a settlement looks like in the spool: with names, so that any version reads what any other wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from llm_gateway.models import Attempt
from llm_gateway.stores.columns import ATTEMPT, MOVED, SETTLED
from llm_gateway.stores.plain import bare, durable, plain, revived
from llm_gateway.stores.spool import Spool
from tests.support.waiting import until

from .bench import Bench

# A line as version 1.0 wrote it, but for the ids.
OLD: dict[str, Any] = {
    "row": {
        "finished_at": 1796068453.6702888, "state": "ok", "served_model": "m-1", "attempt_count": 1, "http_status": 200, "error_code": "",
        "finish_reason": "stop", "flags": "overrun", "usage_source": "reported", "cost_nusd": 60, "price_id": 7, "latency_ms": 5,
        "ttft_ms": 1, "lease_until": None, "decision": '{"order":["prov/m"]}', "input_tokens": 1, "output_tokens": 2,
        "service_tier": "flex", "provider_slug": "moved", "simulated": True,
    },
    "attempts": [
        {
            "number": 1, "provider_slug": "prov", "provider_key_id": 1, "upstream_id": "m", "outcome": "ok", "error_class": "",
            "http_status": 200, "detail": "", "upstream_request_id": "req_1", "started_at": 1796068453.6702256, "latency_ms": 4,
            "ttft_ms": None, "bytes_received": 9, "streamed": True, "billed": "reported", "maybe_billed": False, "cost_nusd": 60,
        }
    ],
    "charge": 60, "prompt": "v1.k.sealed", "answer": None, "sealed": True,
}  # fmt: skip


def old_line(bench: Bench, opening: Any) -> bytes:
    here = {"provider_id": bench.provider.pk, "model_id": bench.model.pk}
    shares = {"provider": {str(bench.provider.pk): 60}, "model": {str(bench.model.pk): 60}}
    attempts = [{**OLD["attempts"][0], "provider_id": bench.provider.pk}]
    known = {**OLD, "id": opening.call.id.hex, "row": {**OLD["row"], **here}, "attempts": attempts, "shares": shares}
    return msgspec.json.encode({**known, "of a version to come": 1}) + b"\n"


def test_a_file_that_an_older_version_left_is_replayed(still: Bench) -> None:
    budget = still.budget()
    opening = still.opening(100, (budget,), at=1796068450.0)
    with still.running(still.new_journal("before")) as before:
        still.run(before.open(opening))
    (still.folder / "spool").mkdir(exist_ok=True)
    (still.folder / "spool" / "before.jsonl").write_bytes(old_line(still, opening))
    with still.running():
        until(lambda: still.row(opening).state == "ok")
        until(lambda: not still.journal._spool.pending)
    row = still.row(opening)
    for name, value in OLD["row"].items():
        if name not in ("finished_at", "decision"):
            assert getattr(row, name) == value, name
    assert (row.decision, row.finished_at.timestamp()) == ({"order": ["prov/m"]}, pytest.approx(1796068453.670289, abs=1e-5))
    attempt = Attempt.objects.get(request=row)
    for name, value in OLD["attempts"][0].items():
        if name != "started_at":
            assert getattr(attempt, name) == value, name
    assert row.body.prompt == "v1.k.sealed"
    assert still.figures(budget) == (60, 0)


def test_the_spool_keeps_the_names_that_older_versions_read(still: Bench) -> None:
    moved = msgspec.structs.replace(still.target())
    kept = durable(plain(still.settlement(still.opening(100), 60, target=moved, prompt="p", answer="a")))
    assert kept.keys() == {*OLD, "id", "shares"}
    assert kept["row"].keys() == {*SETTLED, *MOVED}
    assert kept["attempts"][0].keys() == {*ATTEMPT[1:]}
    assert kept["row"].keys() >= OLD["row"].keys()
    assert kept["attempts"][0].keys() >= OLD["attempts"][0].keys()


@pytest.mark.parametrize("change", [{}, {"target": None}, {"attempts": ()}, {"cost": None, "charge": 100}, {"prompt": "p"}], ids=str)
def test_what_the_spool_gives_back_is_what_it_was_given(still: Bench, tmp_path: Path, change: dict[str, Any]) -> None:
    one = plain(still.settlement(still.opening(100), **{"cost": 60, "target": still.target(), **change}))
    spool = Spool(tmp_path / "s", "w")
    spool.keep([one, bare(one)])
    ((_, found),) = spool.take()
    assert found == [one, bare(one)]
    assert revived(durable(one)) == one


def test_a_line_that_nobody_can_read_is_set_aside_for_a_person(still: Bench, tmp_path: Path) -> None:
    spool = Spool(tmp_path / "s", "w")
    spool.keep([plain(still.settlement(still.opening(1), 1))])
    with (tmp_path / "s" / "w.jsonl").open("ab") as file:
        file.write(b'{"version": 9, "what": "else"}\n{"id": "half a li')
    ((path, found),) = spool.take()
    assert len(found) == 1
    path.unlink()
    assert spool.counts() == (0, 1)
    assert (tmp_path / "s" / "w.bad").read_bytes() == b'{"version": 9, "what": "else"}\n'
