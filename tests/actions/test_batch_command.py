"""Batches for scripts: what the command prints, and with which code it ends."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from llm_gateway.models import AuditEntry, Batch, BatchResult, ClientKey, StoredFile
from llm_gateway.stores.batch_queue import seal_result
from tests.analytics import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def key(db: None) -> ClientKey:
    factories.catalogue()
    return factories.client_key("bulk", scopes=["generate"])


def said(*words: str) -> str:
    out = io.StringIO()
    call_command("batch", *words, stdout=out, stderr=io.StringIO())
    return out.getvalue()


def refused(*words: str) -> tuple[int, str]:
    with pytest.raises(CommandError) as caught:
        said(*words)
    return caught.value.returncode, str(caught.value)


def made(tmp_path: Path, **more: str) -> str:
    table = tmp_path / "in.csv"
    table.write_text("what\nslugify\nchunked\n")
    return said("create", str(table), "--key", "bulk", "--prompt", "Write {what}.", "--model", "kimi-k3", "--max-tokens", "50").strip()


def end(name: str, *states: str) -> Batch:
    """As if a runner had been there."""
    row = Batch.objects.get()
    assert str(row) == name
    now = timezone.now()
    for line, state in zip(row.lines.all(), states, strict=True):
        line.state, line.ended_at, line.status = state, now, 200 if state == "completed" else 400
        line.error_code = "" if state == "completed" else "invalid_request"
        line.save()
        body = {"content": "```python\nx = 1\n```"} if state == "completed" else {"error": {"message": "no"}}
        BatchResult.objects.create(line=line, body=seal_result(line.pk, json.dumps(body).encode()))
    row.queued, row.completed, row.failed = 0, states.count("completed"), states.count("failed")
    row.state, row.ended_at, row.cost_nusd = "completed", now, 5_000
    row.save()
    return row


def test_a_script_creates_waits_and_reads(key: ClientKey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = made(tmp_path)
    assert said("list").startswith(f"{name}\tin_progress\t0/2\tbulk\tin.csv")
    assert said("list", "--state", "paused") == ""
    assert refused("wait", name, "--timeout", "0")[0] == 4
    end(name, "completed", "completed")
    assert said("wait", name) == ""
    shown = json.loads(said("show", name))
    assert (shown["state"], shown["counts"]["completed"], shown["cost_usd"], shown["errors"]) == ("completed", 2, "0.000005", {})
    lines = [json.loads(line) for line in said("results", name).splitlines()]
    assert [(one["custom_id"], one["status"]) for one in lines] == [("row-1", "completed"), ("row-2", "completed")]
    assert said("results", name, "--errors") == ""
    out = io.TextIOWrapper(io.BytesIO())
    monkeypatch.setattr("sys.stdout", out)
    call_command("batch", "files", name)
    with zipfile.ZipFile(out.buffer) as archive:
        assert archive.namelist() == ["row-1.py", "row-2.py"]
    trail = list(AuditEntry.objects.filter(noun="llm_gateway.batch").order_by("pk").values_list("action", "detail"))
    assert [action for action, _ in trail] == ["did", "read texts", "read texts", "read texts"]
    assert refused("cancel", name) == (1, f"{name} has ended already: completed")


def test_failed_requests_have_a_code_of_their_own_and_run_again(key: ClientKey, tmp_path: Path) -> None:
    name = made(tmp_path)
    end(name, "completed", "failed")
    assert refused("wait", name) == (3, f"{name} ended completed: 1 failed of 2")
    assert json.loads(said("show", name))["errors"] == {"invalid_request": 1}
    assert json.loads(said("results", name, "--errors"))["error"]["message"] == "no"
    assert said("retry", name) == f"{name}: 1 requests are queued again\n"
    assert said("cancel", name) == f"{name}: cancelled, 1 requests will not run\n"
    assert refused("wait", name)[0] == 3


def test_nonsense_is_refused_with_a_sentence_and_creates_nothing(key: ClientKey, tmp_path: Path) -> None:
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"prompt": "x"}\n{"prompt": ""}\nnonsense\n')
    code, told = refused("create", str(bad), "--key", "bulk")
    assert code == 1
    assert "line 2: `prompt` is missing or blank." in told
    assert "line 3: The line is no JSON object" in told
    for words, sentence in (
        (("create", str(tmp_path / "none.csv"), "--key", "bulk"), "cannot be read"),
        (("create", str(bad), "--key", "nobody"), "no client key called 'nobody'"),
        (("show", "nonsense"), "is no id of a batch"),
        (("wait", "batch_" + "0" * 32), "there is no batch"),
        (("create",), "required"),
    ):
        assert sentence in refused(*words)[1]
    fine = tmp_path / "fine.jsonl"
    fine.write_text('{"prompt": "x"}\n')
    assert said("create", str(fine), "--key", key.public_id, "--dry-run") == ""
    assert not Batch.objects.exists()
    assert not StoredFile.objects.exists()


def test_a_batch_that_could_not_begin_is_told_by_line(key: ClientKey, tmp_path: Path) -> None:
    name = made(tmp_path)
    faults: list[Any] = [{"line": 3, "field": "", "message": "The line is blank.", "code": "blank_line"}]
    Batch.objects.update(state="failed", ended_at=timezone.now(), total=0, queued=0, faults=faults)
    code, told = refused("wait", name)
    assert code == 1
    assert "line 3: The line is blank." in told
