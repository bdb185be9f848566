"""Which refusals are about thinking that the provider cannot read."""

from __future__ import annotations

import msgspec
import pytest

from llm_gateway.core.errors import Failure, FailureClass
from llm_gateway.policies.thinking import refuses_thinking

REFUSALS = (
    "messages.1.content.0: Invalid `signature` in `thinking` block",
    "messages.3.content.0: Invalid `data` in `redacted_thinking` block",
    "messages.1.content.0.type: Expected `thinking` or `redacted_thinking`, but found `tool_use`. When `thinking` is enabled, a final …",
    "messages.5.content.1: `thinking` or `redacted_thinking` blocks in the latest assistant message cannot be modified.",
    "The encrypted content gAAA… could not be verified. Reason: Encrypted content could not be decrypted or parsed.",
    "Item 'rs_68af' of type 'reasoning' was provided without its required following item.",
    "Item 'fc_68af' of type 'function_call' was provided without its required 'reasoning' item: 'rs_68af'.",
    "Item with id 'rs_68af' not found. Items are not persisted when `store` is set to false.",
    "Thought signature is not valid",
    "Corrupted thought signature.",
    "Function call is missing a thought_signature in functionCall parts.",
    "messages.1.content.0.thinking.signature: Field required",
    "messages.1.content.0.redacted_thinking.data: Input should be a valid string",
    "'messages.2' : for 'role:assistant' the following must be satisfied[('messages.2' : property 'reasoning_content' is unsupported)]",
    "Extra inputs are not permitted, field: 'messages[1].reasoning_content'",
    "Unknown parameter: 'messages[1].reasoning'.",
    "messages.1.assistant.reasoning_content: property is not allowed",
)
OTHERS = (
    "prompt is too long: 210000 tokens > 200000 maximum",
    "`max_tokens` must be greater than `thinking.budget_tokens`.",
    "thinking: Input should be a valid dictionary",
    "Unsupported parameter: 'reasoning_effort' is not supported with this model.",
    "Item with id 'msg_68af' not found.",
    "The `reasoning_content` in the thinking mode must be passed back to the API.",
    "Unknown parameter: 'reasoning'.",
    "messages.0.content: Input should be a valid string",
    "tools.0.custom.name: String should match pattern",
)


@pytest.mark.parametrize("message", REFUSALS)
def test_a_refusal_of_thinking_is_known(message: str) -> None:
    assert refuses_thinking(Failure(kind=FailureClass.BAD_REQUEST, status=400, message=message))
    assert not refuses_thinking(Failure(kind=FailureClass.SERVER_ERROR, status=500, message=message))


@pytest.mark.parametrize("message", OTHERS)
def test_other_refusals_are_none(message: str) -> None:
    assert not refuses_thinking(Failure(kind=FailureClass.BAD_REQUEST, status=400, message=message))


def test_a_place_says_what_is_meant() -> None:
    failure = Failure(kind=FailureClass.BAD_REQUEST, status=422, message="Extra inputs are not permitted")
    assert not refuses_thinking(failure)
    assert refuses_thinking(msgspec.structs.replace(failure, param="messages.1.assistant.reasoning_content"))


def test_a_code_is_enough() -> None:
    assert refuses_thinking(Failure(kind=FailureClass.BAD_REQUEST, status=400, code="invalid_encrypted_content"))
