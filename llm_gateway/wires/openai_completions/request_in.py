"""A legacy completion as the chat it becomes: the prompt is the one user message."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

import msgspec

from llm_gateway.core.chat import ChatRequest, Message, Text
from llm_gateway.core.errors import InvalidRequest, UnsupportedParameter
from llm_gateway.wires import _typed
from llm_gateway.wires._base import Inbound, Once
from llm_gateway.wires._openai import inbound

NAME: Final = "openai_completions"
_CHAT: Final = "openai_chat"

Count = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]


class Options(msgspec.Struct, gc=False):
    include_usage: bool | None = None


class Body(msgspec.Struct, gc=False):
    model: Annotated[str, msgspec.Meta(min_length=1, max_length=512)]
    prompt: Any = None
    max_tokens: Count | None = None
    temperature: float | None = None
    top_p: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    n: Annotated[int, msgspec.Meta(ge=1, le=128)] | None = None
    best_of: int | None = None
    stop: str | list[str] | None = None
    stream: bool | None = None
    stream_options: Options | None = None
    seed: int | None = None
    user: str | None = None
    echo: bool | None = None
    suffix: str | None = None
    logprobs: int | bool | None = None


_body = msgspec.json.Decoder(Body)
# Hints that a chat has no place for, or that say what is so anyway.
_SPARE: Final[dict[str, object]] = {"logit_bias": {}}


def decode_request(body: bytes, path: Mapping[str, str]) -> Inbound:
    request = _typed.decode(body, _body)
    _refuse(request, body)
    text = text_of(request.prompt)
    streams = bool(request.stream)
    return Inbound(
        kind=path.get("kind", "chat"),
        dialect=NAME,
        model=request.model,
        stream=streams,
        include_usage=bool(streams and request.stream_options and request.stream_options.include_usage),
        max_tokens=request.max_tokens,
        n=request.n or 1,
        size=len(text) + 16,
        needs=frozenset(),
        body=body,
        chat=Once(_chat, request, text),
        affinity=text[: inbound.AFFINITY_CHARS],
        user=request.user,
    )


def text_of(prompt: Any) -> str:
    """The one prompt. Raises for what no chat model can be sent."""
    if isinstance(prompt, list) and len(prompt) == 1 and isinstance(prompt[0], str):
        prompt = prompt[0]
    match prompt:
        case str() if prompt:
            return prompt
        case None | "" | []:
            raise InvalidRequest("prompt is missing; send the text to answer.", param="prompt")
        case [*items] if all(isinstance(item, str) for item in items):
            raise UnsupportedParameter("Several prompts cannot be streamed; send them one by one, or leave `stream` out.", param="prompt")
        case _:
            raise UnsupportedParameter("A prompt of token ids cannot be sent to a chat model; send it as text.", param="prompt")


def _refuse(request: Body, body: bytes) -> None:
    given = {
        "suffix": bool(request.suffix),
        "logprobs": request.logprobs not in (None, False),
        "echo": bool(request.echo),
        "best_of": request.best_of is not None and request.best_of > (request.n or 1),
    }
    for name, is_given in given.items():
        if is_given:
            raise UnsupportedParameter(f"`{name}` is not served: completions are answered by chat models here. Leave it out.", param=name)
    for name, value in inbound.unknown(body, Body.__struct_fields__).items():
        if _SPARE.get(name, ...) != value:
            raise UnsupportedParameter(f"`{name}` is not served on /v1/completions; leave it out or use /v1/chat/completions.", param=name)


def _chat(request: Body, text: str) -> ChatRequest:
    return ChatRequest(
        model=request.model,
        messages=(Message(role="user", parts=(Text(text=text),)),),
        max_tokens=request.max_tokens,
        temperature=request.temperature,
        top_p=request.top_p,
        presence_penalty=request.presence_penalty,
        frequency_penalty=request.frequency_penalty,
        stop=(request.stop,) if isinstance(request.stop, str) else tuple(request.stop or ()),
        seed=request.seed,
        n=request.n or 1,
        user=request.user,
        stream=bool(request.stream),
        include_usage=bool(request.stream and request.stream_options and request.stream_options.include_usage),
        origin=_CHAT,
    )
