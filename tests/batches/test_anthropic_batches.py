"""Message batches as Anthropic's SDK sees them."""

from __future__ import annotations

import time
from typing import Any

import pytest

from .conftest import Lane


def request(number: int, model: str = "claude/echo") -> Any:
    return {
        "custom_id": f"m{number}",
        "params": {"model": model, "max_tokens": 8, "messages": [{"role": "user", "content": f"say {number}\nplease"}]},
    }


def test_an_unmodified_anthropic_sdk_creates_polls_reads_lists_cancels_and_deletes(lane: Lane) -> None:
    import anthropic

    with anthropic.Anthropic(base_url=lane.gateway.url, api_key=lane.key, max_retries=0) as client:
        batches = client.messages.batches
        made = batches.create(requests=[*[request(n) for n in range(1, 5)], request(5, "claude/fault:status:400"), request(6, "chat/echo")])
        assert (made.processing_status, made.request_counts.processing, made.results_url) == ("in_progress", 6, None)
        with lane.runner():
            until = time.monotonic() + 15
            while (found := batches.retrieve(made.id)).processing_status != "ended":
                assert time.monotonic() < until, found
                time.sleep(0.05)
        assert (found.request_counts.succeeded, found.request_counts.errored) == (5, 1)
        results = list(batches.results(made.id))
        assert [one.custom_id for one in results] == [f"m{n}" for n in range(1, 7)]
        assert [one.result.type for one in results] == ["succeeded"] * 4 + ["errored", "succeeded"]
        assert results[5].result.message.content[0].text  # type: ignore[union-attr]  # another format's provider
        assert results[4].result.error.error.type == "invalid_request_error"  # type: ignore[union-attr]
        second = batches.create(requests=[request(1)])
        assert batches.cancel(second.id).cancel_initiated_at is not None
        assert [one.result.type for one in batches.results(second.id)] == ["canceled"]
        assert [one.id for one in batches.list(limit=10)][:2] == [second.id, made.id]
        assert batches.delete(made.id).type == "message_batch_deleted"
        with pytest.raises(anthropic.NotFoundError):
            batches.retrieve(made.id)
        stranger = anthropic.Anthropic(base_url=lane.gateway.url, api_key=lane.gateway.issue("stranger to messages"), max_retries=0)
        with stranger:
            for one in (second.id, "msgbatch_" + "0" * 32):
                for ask in (batches_of(stranger).retrieve, batches_of(stranger).cancel, batches_of(stranger).delete):
                    with pytest.raises(anthropic.NotFoundError):
                        ask(one)
        with pytest.raises(anthropic.BadRequestError, match="Request 2, `custom_id`"):
            batches.create(requests=[request(1), request(1)])
        with pytest.raises(anthropic.BadRequestError):
            batches.create(requests=[])
    from llm_gateway.models import Batch, StoredFile

    assert Batch.objects.filter(dialect="anthropic").count() == 1
    assert StoredFile.objects.filter(inline=True).count() == 1


def batches_of(client: Any) -> Any:
    return client.messages.batches


def test_the_address_of_results_is_the_configured_one_whatever_host_the_caller_names(lane: Lane, settings: Any) -> None:
    settings.COGO = {**settings.COGO, "public_url": "https://llm.example.com/base"}
    headers = lane._headers | {"host": "evil.example"}
    made = lane.gateway.http.post("/v1/messages/batches", headers=headers, json={"requests": [request(1)]}).json()
    told = lane.gateway.http.post(f"/v1/messages/batches/{made['id']}/cancel", headers=headers).json()
    assert told["results_url"] == f"https://llm.example.com/base/v1/messages/batches/{made['id']}/results"
