"""What callers send: one struct per body, which checks it, describes it in OpenAPI and draws its form in the browser."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from llm_gateway.core import json
from llm_gateway.core.errors import InvalidRequest

MAX_METADATA_BYTES = 2048

# The original's callers write camelCase.
TWINS = {"maxTokens": "max_tokens", "taskType": "task_type", "analysisType": "analysis_type"}

Name = Annotated[str, Meta(min_length=1, max_length=200)]
Word = Annotated[str, Meta(min_length=1, max_length=60)]
MaxTokens = Annotated[int, Meta(ge=1, le=1_000_000, description="At most this many tokens in the answer.")]
ModelName = Annotated[
    str,
    Meta(
        max_length=200,
        description="A model's name or alias: that model and nothing else. `auto` or nothing: the active strategy. "
        "`strategy:NAME`: that strategy. `PROVIDER/ID`: that provider's model by its own id.",
        examples=["auto"],
    ),
]


class Body(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of the bodies below: an unknown field is a mistake that must not pass silently."""


class GenerateRequest(Body, frozen=True, kw_only=True):
    """Generate code, or answer any prompt."""

    prompt: Annotated[str, Meta(min_length=1, description="What to do.", examples=["Write a function that reverses a linked list."])]
    model: ModelName | None = None
    strategy: Annotated[Word, Meta(description="Use this strategy instead of the active one.")] | None = None
    system: Annotated[str, Meta(description="Replaces the gateway's own opening instruction.")] | None = None
    language: Annotated[Word, Meta(description="Programming language of the answer.", examples=["python"])] | None = None
    framework: Annotated[Word, Meta(description="Framework to use.")] | None = None
    context: Annotated[str | dict[str, Any] | list[Any], Meta(description="What the model should know: text or JSON.")] | None = None
    task_type: Annotated[Word, Meta(description="For example generate, refactor, explain, test, debug, document.")] | None = None
    max_tokens: MaxTokens | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    stream: Annotated[bool, Meta(description="Answer as server-sent events: start, delta, done or error.")] = False
    score: Annotated[bool, Meta(description="Add `quality`, computed from the answer; with `stream` it is in `done`.")] = False
    metadata: Annotated[dict[str, Any], Meta(description="Up to 2 KB of your own, kept with the log row.")] | None = None


AnalysisType = Literal["quality", "security", "performance", "review", "optimize", "debug", "document"]


class AnalyzeRequest(Body, frozen=True, kw_only=True):
    """Analyse code and answer with structured findings."""

    code: Annotated[str, Meta(min_length=1, description="The code.", examples=["def add(a, b):\n    return a - b\n"])]
    analysis_type: Annotated[AnalysisType, Meta(description="What to look for.")] = "quality"
    language: Annotated[Word, Meta(description="Programming language of the code.", examples=["python"])] | None = None
    model: ModelName | None = None
    strategy: Annotated[Word, Meta(description="Use this strategy instead of the active one.")] | None = None
    max_tokens: MaxTokens | None = None
    stream: Annotated[bool, Meta(description="Answer as server-sent events; `done` holds the validated analysis.")] = False
    metadata: Annotated[dict[str, Any], Meta(description="Up to 2 KB of your own, kept with the log row.")] | None = None


class TestRequest(Body, frozen=True, kw_only=True):
    """Call each of these models once, with a tiny prompt."""

    __test__ = False  # not a test class, whatever pytest thinks of its name

    models: Annotated[list[Name], Meta(min_length=1, max_length=10, description="Names or aliases.", examples=[["auto"]])]


class SetStrategyRequest(Body, frozen=True, kw_only=True):
    """Put a strategy in force for the whole gateway."""

    strategy: Annotated[Word, Meta(description="Its name.", examples=["enterprise"])]


class RefreshKeysRequest(Body, frozen=True, kw_only=True):
    """Check provider keys now; without a choice all enabled ones."""

    keys: Annotated[list[int], Meta(max_length=100, description="Ids as `keys/status` names them.")] | None = None
    providers: Annotated[list[Word], Meta(max_length=100, description="Every key of these providers.", examples=[["openai"]])] | None = None


def settled(sent: dict[str, Any]) -> dict[str, Any]:
    """``sent`` with camelCase names put right and ``null`` as absent. Raises :class:`InvalidRequest` for a field under both names."""
    found: dict[str, Any] = {}
    for name, value in sent.items():
        plain = TWINS.get(name, name)
        if plain in found or (plain != name and plain in sent):
            raise InvalidRequest(f"`{plain}` and `{name}` are the same field; send one of them.", param=plain)
        found[plain] = value
    return {name: value for name, value in found.items() if value is not None}


def checked_metadata(metadata: dict[str, Any] | None) -> dict[str, Any] | None:
    if metadata is not None and len(json.dumps(metadata)) > MAX_METADATA_BYTES:
        raise InvalidRequest(f"`metadata` is larger than {MAX_METADATA_BYTES} bytes; send less.", param="metadata")
    return metadata
