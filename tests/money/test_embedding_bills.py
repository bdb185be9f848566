"""Embeddings are billed as their host counts them, whatever the format, and never as an estimate where it does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from llm_gateway.core.errors import AttemptFailed
from llm_gateway.core.usage import Usage
from llm_gateway.wires import meters
from tests.support.gateway import GatewayServer
from tests.support.upstream import Upstream, connect, upstream

OPENAI = {"object": "list", "model": "e", "data": [{"object": "embedding", "index": 0, "embedding": [0.5, 0.25]}]}
GEMINI = {"embeddings": [{"values": [0.5, 0.25]}]}
HUNDRED = {"prompt_tokens": 100, "total_tokens": 100}


@pytest.fixture(scope="module")
def host(gateway_server: GatewayServer) -> Iterator[Upstream]:
    with upstream() as state:
        connect(gateway_server, state)
        for slug in ("up-chat", "up-responses", "up-gem"):
            model = gateway_server.rows.model(slug, "e", name=f"{slug}/e")
            model.prices.update(input=Decimal(10))
        gateway_server.refresh()
        yield state


@pytest.mark.parametrize(
    ("slug", "answer"),
    [
        ("up-chat", OPENAI | {"usage": HUNDRED}),
        ("up-chat", OPENAI | {"usage": HUNDRED | {"completion_tokens": 0}}),
        ("up-chat", OPENAI | {"usage": HUNDRED | {"completion_tokens": None, "prompt_tokens_details": None}}),
        ("up-chat", OPENAI | {"usage": {"total_tokens": 100}}),
        ("up-chat", OPENAI | {"usage": {"prompt_tokens": 100}}),
        ("up-responses", OPENAI | {"usage": HUNDRED}),
        ("up-gem", GEMINI | {"usageMetadata": {"promptTokenCount": 100, "totalTokenCount": 100}}),
        ("up-gem", GEMINI | {"usageMetadata": {"promptTokenCount": 100}}),
        ("up-gem", GEMINI | {"usageMetadata": {"totalTokenCount": 100}}),
    ],
)
@pytest.mark.parametrize("dialect", ["openai_chat", "gemini_generate"])
def test_embeddings_cost_what_their_host_reports(
    gateway: GatewayServer, host: Upstream, slug: str, answer: dict[str, Any], dialect: str
) -> None:
    host.serve(json.dumps(answer).encode())
    if dialect == "openai_chat":
        got = gateway.client(dialect).send("/v1/embeddings", {"model": f"{slug}/e", "input": "hello world"}, False)
    else:
        one = {"content": {"parts": [{"text": "hello world"}]}}
        got = gateway.client(dialect).send(f"/v1beta/models/{slug}/e:batchEmbedContents", {"requests": [one]}, False)
    assert got.status == 200, got.body
    row = gateway.row(got)
    # 100 tokens at 10 USD per million.
    assert (row.cost_nusd, row.input_tokens, row.output_tokens, row.usage_source) == (1_000_000, 100, 0, "reported")


def test_a_host_that_counts_nothing_is_billed_by_the_estimate_and_the_row_says_so(gateway: GatewayServer, host: Upstream) -> None:
    host.serve(json.dumps(OPENAI).encode())
    got = gateway.client("openai_chat").send("/v1/embeddings", {"model": "up-chat/e", "input": "hello world"}, False)
    row = gateway.row(got)
    assert row.usage_source == "estimated"
    assert row.cost_nusd == row.input_tokens * 10_000 > 0


@pytest.mark.parametrize("wire", ["openai_chat", "openai_responses"])
def test_an_embedding_has_no_output_whatever_is_told(wire: str) -> None:
    body = json.dumps({"data": [], "usage": {"prompt_tokens": 90, "completion_tokens": 4, "total_tokens": 99}}).encode()
    assert meters.get(wire)(body) == Usage(input_tokens=90, output_tokens=0)
    with pytest.raises(AttemptFailed):
        meters.get(wire)(b'{"error": {"message": "no"}}')
