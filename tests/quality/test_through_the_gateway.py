"""Scores of answers that came through a real gateway."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import httpx
import pytest

from llm_gateway.models import AnswerScore, Feedback, QualityRule, RequestLog, ScoreJob, Team
from tests.quality.seeds import BASE, answer
from tests.support.clock import Stopwatch
from tests.support.gateway import GatewayServer
from tests.support.upstream import Upstream, connect, upstream

API = "/api/ai-models"


@pytest.fixture(scope="module")
def replaying(gateway_server: GatewayServer) -> Iterator[Upstream]:
    with upstream() as state:
        connect(gateway_server, state)
        yield state


def chat(text: str, finish: str = "stop", **message: Any) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", "content": text, **message}, "finish_reason": finish}
    return json.dumps({"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}).encode()


def streamed(text: str, finish: str | None = "stop") -> bytes:
    def chunk(delta: dict[str, Any], reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        return (
            b"data: "
            + json.dumps({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}).encode()
            + b"\n\n"
        )

    pieces = [text[start : start + 7] for start in range(0, len(text), 7)]
    return (
        chunk({"role": "assistant", "content": ""})
        + b"".join(chunk({"content": piece}) for piece in pieces)
        + (chunk({}, finish) + b"data: [DONE]\n\n" if finish else b"")
    )


def post(gateway: GatewayServer, path: str, body: Any, **headers: str) -> httpx.Response:
    return gateway.http.post(path, json=body, headers={"authorization": f"Bearer {gateway.rows.key}", **headers})


def ask(gateway: GatewayServer, model: str = "up-chat/m", **more: Any) -> httpx.Response:
    body = {"model": model, "messages": [{"role": "user", "content": "hi"}], **more}
    return post(gateway, "/v1/chat/completions", body)


def scored(response: httpx.Response, *, coded: bool | None = None) -> AnswerScore:
    """The row of an answer's score, once it is written."""
    request_id = UUID(response.headers["x-request-id"].removeprefix("req_"))
    watch = Stopwatch()
    while True:
        row = AnswerScore.objects.filter(request_id=request_id).first()
        if row is not None and coded in (None, row.coded):
            return row
        assert watch.took_s < 5, "no score was kept"
        time.sleep(0.02)


def rules(row: AnswerScore) -> list[str]:
    return [finding["rule"] for one in row.scorers for finding in one["findings"]]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("text", "finish", "expected"),
    [(answer(BASE), "stop", []), (answer(BASE), "length", ["cut"]), (answer(BASE, closed=False), "stop", ["open_fence"])],
)
def test_the_structure_of_every_answer_is_kept_with_its_evidence(
    gateway: GatewayServer, replaying: Upstream, stream: bool, text: str, finish: str, expected: list[str]
) -> None:
    if stream:
        replaying.stream(streamed(text, finish))
    else:
        replaying.serve(chat(text, finish))
    row = scored(ask(gateway, stream=stream))
    assert rules(row) == expected
    assert (row.score == 100) == (not expected)
    assert [(one["name"], one["version"]) for one in row.scorers] == [("structure", 1)]
    assert (row.formula, row.language, row.provider_slug, row.team_id) == (1, "python", "up-chat", gateway.rows.team.pk)
    assert "def total" not in json.dumps(row.scorers)


def test_an_answer_that_broke_off_is_cut_and_its_json_and_tools_are_checked(gateway: GatewayServer, replaying: Upstream) -> None:
    replaying.stream(streamed(answer(BASE), None))
    assert rules(scored(ask(gateway, stream=True)))[0] == "cut"
    replaying.serve(chat("{'a': 1}"))
    assert rules(scored(ask(gateway, response_format={"type": "json_object"}))) == ["bad_json"]
    call = {"id": "t", "type": "function", "function": {"name": "find", "arguments": '{"depth": "deep"}'}}
    replaying.serve(chat("", "tool_calls", tool_calls=[call]))
    tool = {"name": "find", "parameters": {"type": "object", "properties": {"depth": {"type": "integer"}}}}
    assert rules(scored(ask(gateway, tools=[{"type": "function", "function": tool}]))) == ["bad_arguments"]
    replaying.serve(chat("fine"))
    asked = ask(gateway, model="up-claude/m")
    assert asked.status_code >= 500
    assert not AnswerScore.objects.filter(request_id=UUID(asked.headers["x-request-id"].removeprefix("req_"))).exists()


def test_a_caller_gets_the_quality_it_asks_for_in_native_and_other_dialects(gateway: GatewayServer, replaying: Upstream) -> None:
    replaying.serve(chat(answer("def f(x:\n    return x\n")))
    told = post(gateway, f"{API}/generate", {"prompt": "f", "model": "up-chat/m", "language": "python", "score": True})
    quality = told.json()["quality"]
    assert quality["score"] == 40
    assert [one["name"] for one in quality["scorers"]] == ["structure", "syntax"]
    (finding,) = quality["scorers"][1]["findings"]
    assert (finding["block"], finding["line"], finding["rule"], finding["severity"]) == (1, 1, "syntax", "high")
    row = scored(told, coded=True)
    assert (row.score, row.language) == (40, "python")
    assert "quality" not in post(gateway, f"{API}/generate", {"prompt": "f", "model": "up-chat/m"}).json()

    body = {"model": "up-chat/m", "messages": [{"role": "user", "content": "hi"}]}
    whole = post(gateway, "/v1/chat/completions", body, **{"x-cogo-score": "true"})
    assert whole.json()["quality"]["score"] == 40
    assert whole.headers["x-cogo-quality"] == "40"
    assert whole.json()["choices"][0]["message"]["content"].startswith("Here")
    assert post(gateway, "/v1/chat/completions", body, **{"x-cogo-score": "maybe"}).status_code == 400

    replaying.stream(streamed(answer(BASE)))
    stream = post(gateway, "/v1/chat/completions", {**body, "stream": True}, **{"x-cogo-score": "true"}).content
    assert stream.startswith(streamed(answer(BASE)))
    comment = stream.removeprefix(streamed(answer(BASE)))
    assert comment.startswith(b": x-cogo-quality {")
    assert json.loads(comment.removeprefix(b": x-cogo-quality "))["score"] == 100
    native = post(gateway, f"{API}/generate", {"prompt": "f", "model": "up-chat/m", "stream": True, "score": True})
    done = next(line for line in native.text.splitlines() if line.startswith("data:") and "finish_reason" in line)
    assert json.loads(done.removeprefix("data:"))["quality"]["score"] == 100


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"code": BASE, "language": "python"}, 200),
        ({"content": answer(BASE)}, 200),
        ({"code": "main = print 1", "language": "haskell"}, 200),
        ({}, 400),
        ({"code": "x", "content": "y"}, 400),
        ({"code": "  "}, 400),
        ({"code": "x", "colour": "red"}, 400),
        ({"code": "x" * ((2 << 20) + 1)}, 413),
    ],
)
def test_code_is_scored_on_demand_and_nonsense_is_told_what_is_wrong(gateway: GatewayServer, body: dict[str, Any], status: int) -> None:
    told = post(gateway, f"{API}/score", body)
    assert told.status_code == status
    if status == 200:
        assert (told.json()["score"], {one["name"] for one in told.json()["scorers"]}) == (100, {"structure", "syntax"})
    else:
        assert told.json()["error"]["message"]
    assert gateway.http.post(f"{API}/score", json=body).status_code == 401


def test_feedback_is_the_last_word_of_a_key_on_a_request_of_its_own_team(gateway: GatewayServer, replaying: Upstream) -> None:
    replaying.serve(chat(answer(BASE)))
    asked = ask(gateway)
    request_id = asked.headers["x-request-id"].removeprefix("req_")
    for score, outcome in ((1, "accepted"), (-0.5, "reverted")):
        assert post(gateway, f"{API}/feedback", {"request_id": request_id, "score": score, "outcome": outcome}).status_code == 200
    (said,) = Feedback.objects.filter(request_id=request_id)
    assert (said.score, said.outcome) == (-0.5, "reverted")
    stranger = gateway.issue("stranger", team=Team.objects.create(name="Other", slug="other"))
    foreign = gateway.http.post(
        f"{API}/feedback", json={"request_id": request_id, "score": 1}, headers={"authorization": f"Bearer {stranger}"}
    )
    missing = post(gateway, f"{API}/feedback", {"request_id": "019aa0c4-7d3e-7000-8000-000000000000", "score": 1})
    for refused in (foreign, missing):
        assert refused.status_code == 404
    assert foreign.json()["error"]["message"] == missing.json()["error"]["message"]
    for wrong in ({"score": 2}, {"score": "1"}, {"score": 0, "outcome": "liked"}, {"score": 0, "request_id": "x"}):
        assert post(gateway, f"{API}/feedback", {"request_id": request_id, **wrong}).status_code in (400, 404)


def test_a_share_of_a_team_s_answers_is_sealed_for_the_worker_and_none_of_a_team_without_texts(
    gateway: GatewayServer, replaying: Upstream
) -> None:
    rule = QualityRule.objects.create(team=None, share=100)
    gateway.refresh()
    replaying.serve(chat(answer(BASE)))
    try:
        row = scored(ask(gateway))
        job = ScoreJob.objects.get(request_id=row.request_id)
        assert "def total" not in job.ciphertext
        assert 3590 < (job.expires_at - job.created_at).total_seconds() <= 3600
        ScoreJob.objects.all().delete()
        gateway.rows.team.bodies = "off"
        gateway.rows.team.save()
        gateway.refresh()
        assert scored(ask(gateway)).score == 100, "its structure is looked at all the same"
        assert not ScoreJob.objects.exists()
    finally:
        rule.delete()
        gateway.rows.team.bodies = "metadata"
        gateway.rows.team.save()
        gateway.refresh()


def test_a_scorer_that_breaks_fails_no_request(gateway: GatewayServer, replaying: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    from llm_gateway.stores import scores

    def broken(*args: Any) -> Any:
        raise RuntimeError("broken")

    replaying.serve(chat(answer(BASE)))
    before = gateway.gateway.scores.dropped
    with monkeypatch.context() as patch:
        patch.setattr(scores, "_structure", broken)
        told = ask(gateway)
        assert told.status_code == 200
        watch = Stopwatch()
        while gateway.gateway.scores.dropped == before:
            assert watch.took_s < 5
            time.sleep(0.02)
    assert RequestLog.objects.get(pk=told.headers["x-request-id"].removeprefix("req_")).state == "ok"
    assert scored(ask(gateway)).score == 100, "the next one is scored"


def test_what_is_too_much_is_counted_and_not_kept(gateway: GatewayServer, replaying: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    from llm_gateway.stores import scores

    monkeypatch.setattr(scores, "MOST_WAITING", 0)
    replaying.serve(chat(answer(BASE)))
    before = gateway.gateway.scores.dropped
    assert ask(gateway).status_code == 200
    assert gateway.gateway.scores.dropped == before + 1
