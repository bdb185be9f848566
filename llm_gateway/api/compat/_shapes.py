"""The compatible APIs' bodies as far as the OpenAPI document names them; every other field of the dialect passes, too."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

Model = Annotated[str, Meta(description="A model's name or alias, `auto`, `strategy:NAME` or `PROVIDER/ID`.", examples=["auto"])]
Stream = Annotated[bool, Meta(description="Answer as server-sent events in the dialect's own form.")]
Text = str | list[dict[str, Any]]


class Open(msgspec.Struct, kw_only=True):
    """Base of the bodies below: further fields of the dialect are welcome."""


class ChatMessage(Open, kw_only=True):
    role: Annotated[str, Meta(examples=["user"])]
    content: Text | None = None


class ChatCompletionRequest(Open, kw_only=True):
    model: Model
    messages: list[ChatMessage]
    stream: Stream = False
    max_tokens: int | None = None
    temperature: float | None = None
    tools: list[dict[str, Any]] | None = None


class ChatAnswerMessage(Open, kw_only=True):
    role: str
    content: str | None = None
    tool_calls: list[dict[str, Any]] | msgspec.UnsetType = msgspec.UNSET


class ChatChoice(Open, kw_only=True):
    index: int
    message: ChatAnswerMessage
    finish_reason: str | None = None


class ChatUsage(Open, kw_only=True):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class ChatCompletion(Open, kw_only=True):
    id: str
    object: str
    created: int
    model: Annotated[str, Meta(description="The model that served.")]
    choices: list[ChatChoice]
    usage: ChatUsage | None = None


class CompletionRequest(Open, kw_only=True):
    model: Model
    prompt: str | list[str]
    stream: Stream = False
    max_tokens: int | None = None
    temperature: float | None = None
    stop: str | list[str] | None = None


class CompletionChoice(Open, kw_only=True):
    index: int
    text: str
    finish_reason: str | None = None


class Completion(Open, kw_only=True):
    id: str
    object: str
    created: int
    model: str
    choices: list[CompletionChoice]
    usage: ChatUsage | None = None


class ResponsesRequest(Open, kw_only=True):
    model: Model
    input: Text
    instructions: str | None = None
    stream: Stream = False
    max_output_tokens: int | None = None
    previous_response_id: str | None = None
    store: bool | None = None
    tools: list[dict[str, Any]] | None = None


class ResponseObject(Open, kw_only=True):
    id: str
    object: str
    created_at: int
    status: str
    model: str
    output: list[dict[str, Any]]
    usage: dict[str, Any] | None = None


class CompactedResponse(Open, kw_only=True):
    id: str
    object: str
    created_at: int
    output: list[dict[str, Any]]
    usage: dict[str, Any] | None = None


class MessagesTurn(Open, kw_only=True):
    role: Annotated[str, Meta(examples=["user"])]
    content: Text


class MessagesRequest(Open, kw_only=True):
    model: Model
    messages: list[MessagesTurn]
    max_tokens: int
    system: Text | None = None
    stream: Stream = False
    tools: list[dict[str, Any]] | None = None


class MessagesAnswer(Open, kw_only=True):
    id: str
    type: str
    role: str
    model: str
    content: list[dict[str, Any]]
    stop_reason: str | None
    usage: dict[str, Any]


class Content(Open, kw_only=True):
    parts: list[dict[str, Any]]
    role: str | None = None


class GenerateContentRequest(Open, kw_only=True, rename="camel"):
    contents: list[Content]
    system_instruction: Content | None = None
    generation_config: dict[str, Any] | None = None
    tools: list[dict[str, Any]] | None = None


class GenerateContentAnswer(Open, kw_only=True, rename="camel"):
    candidates: list[dict[str, Any]] | msgspec.UnsetType = msgspec.UNSET
    usage_metadata: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET
    model_version: str | msgspec.UnsetType = msgspec.UNSET


class EmbeddingsRequest(Open, kw_only=True):
    model: Model
    input: str | list[Any]
    dimensions: int | None = None
    encoding_format: Literal["float", "base64"] | None = None


class Embeddings(Open, kw_only=True):
    object: str
    data: list[dict[str, Any]]
    model: str


class ModelEntry(Open, kw_only=True):
    id: str
    object: str | msgspec.UnsetType = msgspec.UNSET
    created: int | msgspec.UnsetType = msgspec.UNSET
    owned_by: str | msgspec.UnsetType = msgspec.UNSET


class ModelListing(Open, kw_only=True):
    data: list[ModelEntry]


class GeminiModelListing(Open, kw_only=True):
    models: list[dict[str, Any]]


class AnyObject(Open, kw_only=True):
    """A body as the dialect's own reference describes it."""


class CompatibleError(Open, kw_only=True):
    """An error in the dialect's own shape."""

    error: dict[str, Any]
