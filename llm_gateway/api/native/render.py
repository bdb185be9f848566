"""From the pipeline's end of a request to the answer a caller reads."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from llm_gateway.api.http import cache_headers, retired_warning, stream_cache_headers
from llm_gateway.core.catalog import Target
from llm_gateway.core.chat import ChatResponse, Choice, Refusal, Text
from llm_gateway.core.money import format_usd
from llm_gateway.core.redact import without_keys
from llm_gateway.core.usage import Usage
from llm_gateway.engine.calls import AttemptRecord, StreamAnswer, Summary

from .shapes import AttemptBody, Cost, UsageBody


def envelope(summaries: Sequence[Summary]) -> dict[str, Any]:
    """The fields every answer has: the id of the first of ``summaries``, who answered last, and the usage, cost and attempts of all."""
    last = summaries[-1]
    return {
        "id": str(summaries[0].id),
        "model": model_name(last.target, last.served_model),
        "provider": last.target.provider.slug if last.target else "",
        "finish_reason": last.finish_reason or None,
        "usage": usage_body([summary.usage for summary in summaries]),
        "cost": cost_body(total(summary.cost_nusd for summary in summaries)),
        "latency_ms": sum(summary.latency_ms for summary in summaries),
        "ttft_ms": summaries[0].ttft_ms,
        "strategy": last.strategy or None,
        "decision": msgspec.to_builtins(last.decision),
        "attempts": [attempt_body(attempt) for summary in summaries for attempt in summary.attempts],
    }


def headers(summaries: Sequence[Summary]) -> dict[str, str]:
    last = summaries[-1]
    found = {"x-request-id": str(summaries[0].id), "x-cogo-attempts": str(sum(len(summary.attempts) for summary in summaries))}
    if last.target is not None:
        found |= target_headers(last.target, model_name(last.target, last.served_model))
        if last.decision.get("stands_in_for"):
            found["x-cogo-warning"] = retired_warning(last.target.model.name).decode()
    found |= _text(cache_headers(last.cache))
    return found | {"x-cogo-cost": format_usd(total(summary.cost_nusd for summary in summaries))}


def stream_headers(answer: StreamAnswer) -> dict[str, str]:
    """What is known when a stream begins: its cost is in ``done``."""
    found = {
        "x-request-id": str(answer.id),
        "x-cogo-attempts": str(answer.attempts),
        **target_headers(answer.target, model_name(answer.target, answer.model)),
        **_text(stream_cache_headers(answer.cache)),
    }
    return found | ({"x-cogo-warning": retired_warning(answer.target.model.name).decode()} if answer.stands_in_for else {})


def _text(pairs: list[tuple[bytes, bytes]]) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in pairs}


def target_headers(target: Target, model: str) -> dict[str, str]:
    found = {"x-cogo-model": _ascii(model), "x-cogo-provider": target.provider.slug}
    return found | {"x-cogo-simulated": "true"} if target.provider.simulated else found


def model_name(target: Target | None, served: str) -> str:
    """The catalogue's name of the model that served; for a pattern, whose name is no model, the provider's."""
    if target is None:
        return served
    return target.upstream_id if target.model.pattern else target.model.name


def text_of(response: ChatResponse | None) -> str:
    """What the model said, a refusal included."""
    if response is None or not response.choices:
        return ""
    choice: Choice = response.choices[0]
    return "".join(part.text for part in choice.parts if isinstance(part, Text | Refusal))


def usage_body(usages: Iterable[Usage | None]) -> UsageBody | None:
    known = [usage for usage in usages if usage is not None]
    if not known:
        return None
    return UsageBody(
        input_tokens=total(_known(usage.input_tokens, usage.audio_input_tokens, usage.image_input_tokens) for usage in known),
        output_tokens=total(_known(usage.output_tokens, usage.audio_output_tokens, usage.image_output_tokens) for usage in known),
        cache_read_tokens=total(usage.cache_read_tokens for usage in known),
        cache_write_tokens=total(_known(usage.cache_write_tokens, usage.cache_write_1h_tokens) for usage in known),
        reasoning_tokens=total(usage.reasoning_tokens for usage in known),
        source="estimated" if any(usage.source.value == "estimated" for usage in known) else "reported",
    )


def cost_body(nusd: int | None) -> Cost | None:
    return None if nusd is None else Cost(amount=format_usd(nusd))


def attempt_body(attempt: AttemptRecord) -> AttemptBody:
    return AttemptBody(
        provider=attempt.provider,
        model=attempt.upstream_id if "*" in attempt.model else attempt.model,
        outcome=attempt.outcome,
        status=attempt.status,
        latency_ms=attempt.latency_ms,
        error=attempt.error_class or None,
    )


def total(numbers: Iterable[int | None]) -> int | None:
    """The sum, unknown as soon as one of them is."""
    found = list(numbers)
    return None if any(number is None for number in found) else sum(number for number in found if number is not None)


def _known(*parts: int | None) -> int | None:
    """The sum of what is known of a class, unknown where none of it is."""
    return sum(part or 0 for part in parts) if any(part is not None for part in parts) else None


def _ascii(text: str) -> str:
    return without_keys(text).encode("ascii", "replace").decode()
