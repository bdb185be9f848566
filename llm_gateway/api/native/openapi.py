"""OpenAPI from the same structs that check and render: drf-spectacular learns to read msgspec."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec
from drf_spectacular.extensions import OpenApiAuthenticationExtension, OpenApiSerializerExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import ResolvedComponent
from drf_spectacular.utils import Direction, OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema
from typing_extensions import override

from llm_gateway.api.schema import completed

from . import shapes
from .contract import Body

F = TypeVar("F", bound=Callable[..., Any])
_REF = "#/components/schemas/{name}"

ERRORS: Mapping[int, str] = {
    400: "The request is wrong; `message` names the field.",
    401: "No key, or one that is unknown, expired or revoked.",
    403: "The key lacks the scope.",
}
CALL_ERRORS: Mapping[int, str] = {
    402: "This one request could cost more than its whole budget.",
    404: "No such model, or this key may not use it.",
    409: "The first request with this `Idempotency-Key` still runs, or what became of it is unknown.",
    413: "The body is too large.",
    422: "This `Idempotency-Key` was used for another request.",
    429: "A rate, concurrency or budget limit; `code` says which, `Retry-After` when to come back.",
    502: "The provider failed and no other could answer.",
    503: "Nothing can answer now; try again after `Retry-After`.",
    504: "The deadline passed.",
}
HEADERS = (
    OpenApiParameter("Idempotency-Key", str, OpenApiParameter.HEADER, description="Execute once; duplicates get the first answer again."),
    OpenApiParameter(
        "x-cogo-tag", str, OpenApiParameter.HEADER, description="What the cost is reported under: a product, a customer, a job."
    ),
    OpenApiParameter("x-cogo-session", str, OpenApiParameter.HEADER, description="Strategies that share keep one session together."),
    OpenApiParameter(
        "x-request-timeout-ms", int, OpenApiParameter.HEADER, description="How long you are willing to wait, in milliseconds."
    ),
)


class StructExtension(OpenApiSerializerExtension):  # type: ignore[no-untyped-call]
    """A struct class given as request or response becomes a component of its own name."""

    target_class = "msgspec.Struct"
    match_subclasses = True

    @override
    def get_name(self, auto_schema: AutoSchema, direction: Direction) -> str:
        return str(self.target.__name__)

    @override
    def map_serializer(self, auto_schema: AutoSchema, direction: Direction) -> dict[str, Any]:
        (_, components) = msgspec.json.schema_components([self.target], ref_template=_REF)
        own: dict[str, Any] = {}
        for name, schema in components.items():
            schema.pop("title", None)
            completed(schema)
            if name == self.target.__name__:
                own = schema
                continue
            component = ResolvedComponent(  # type: ignore[no-untyped-call]
                name=name, type=ResolvedComponent.SCHEMA, object=_struct(name), schema=schema
            )
            auto_schema.registry.register_on_missing(component)
        return own


def _struct(name: str) -> type[msgspec.Struct] | str:
    """The struct of that name, so that a component is the same whether an answer is it or only holds it."""
    found = [shapes.Shape, Body]
    for one in found:
        found += one.__subclasses__()
    return next((one for one in found if one.__name__ == name), name)


class ClientKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "llm_gateway.api.native.auth.ClientKeyAuthentication"
    name = "clientKey"

    @override
    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        return {"type": "http", "scheme": "bearer", "description": "A client key of this gateway."}


_INDEX = "/api/ai-models/"


def without_closing_slash(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """A hook of drf-spectacular: addresses as the documentation writes them; below the index a slash at the end is optional."""
    result["paths"] = {path if path == _INDEX else path.rstrip("/"): methods for path, methods in result["paths"].items()}
    return result


def documented(
    id: str,  # noqa: A002  # the operation's id
    summary: str,
    *,
    answer: type[shapes.Shape],
    body: type[Body] | None = None,
    example: Mapping[str, Any] | None = None,
    streams: Sequence[type[shapes.Shape]] = (),
    parameters: Sequence[OpenApiParameter] = (),
    costs: bool = False,
    binary: str = "",
) -> Callable[[F], F]:
    """``streams``: it can answer as server-sent events, whose ``done`` has this shape. ``costs``: it calls providers.
    ``binary``: the media type of an answer that is no JSON."""
    responses: dict[Any, Any] = {(200, "application/json"): OpenApiResponse(answer, description=summary)}
    if binary:
        responses = {(200, binary): OpenApiResponse({"type": "string", "format": "binary"}, description=summary)}
    for shape in streams:
        text = f"Server-sent events: `start`, `delta`, `thinking`, then `done` ({shape.__name__}) or `error`."
        responses[200, "text/event-stream"] = OpenApiResponse({"type": "string"}, description=text)
    for status, meaning in ({**ERRORS, **CALL_ERRORS} if costs else ERRORS).items():
        responses[status, "application/json"] = OpenApiResponse(shapes.Error, description=meaning)
    if costs and body:
        parameters = [*parameters, *HEADERS]
    examples = [OpenApiExample("Example", value=dict(example), request_only=True)] if example else []
    return extend_schema(
        operation_id=id,
        summary=summary,
        request={"application/json": body} if body else None,
        responses=responses,
        parameters=list(parameters),
        examples=examples,
        tags=["ai-models"],
    )
