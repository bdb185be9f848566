"""The conversation is decoded when it is first asked for, and once."""

from __future__ import annotations

from typing import Any

import pytest

from llm_gateway.core.chat import ChatRequest
from llm_gateway.core.errors import InvalidRequest
from llm_gateway.wires._base import Once

CHAT = ChatRequest(model="m", messages=())


def test_it_is_read_when_somebody_asks_and_once():
    asked: list[Any] = []

    def read(*given: Any) -> ChatRequest:
        asked.append(given)
        return CHAT

    chat = Once(read, 1, "two")
    assert asked == []
    assert chat() is chat() is CHAT
    assert asked == [(1, "two")]


def test_what_cannot_be_read_is_refused_each_time():
    def read() -> ChatRequest:
        raise InvalidRequest("no")

    chat = Once(read)
    for _ in range(2):
        with pytest.raises(InvalidRequest):
            chat()
