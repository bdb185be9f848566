"""Bodies and query strings in, typed values out; what does not fit is refused by a sentence that names the field."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar

import msgspec
from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest
from msgspec import inspect
from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser
from typing_extensions import override

from llm_gateway.core import json
from llm_gateway.core.errors import BodyTooLarge, InvalidJsonBody, InvalidRequest

T = TypeVar("T")
FORM_TYPES = ("multipart/form-data", "application/x-www-form-urlencoded")


class BadBody(ParseError):
    """Carries the gateway's own error through DRF."""

    def __init__(self, error: InvalidRequest) -> None:
        super().__init__(error.message, error.code)
        self.error = error


class StrictJSONParser(JSONParser):
    """For DRF's own machinery (``request.data``, and CSRF's look for a form field); views of this room read the body themselves with
    :func:`json_object`, because DRF takes a chunked body for an empty one."""

    @override
    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        try:
            return _decode(stream.read())
        except InvalidRequest as error:
            raise BadBody(error) from None


def is_form(request: HttpRequest) -> bool:
    return request.content_type in FORM_TYPES


def json_object(request: HttpRequest) -> dict[str, Any]:
    """The JSON object in the body, whether its length was announced or not. Raises :class:`InvalidRequest` or :class:`BodyTooLarge`."""
    media_type = (request.content_type or "").lower()
    if media_type != "application/json" and not media_type.endswith("+json"):
        raise InvalidRequest("Send the body as JSON, with the header `Content-Type: application/json`.", param="content-type")
    limit = settings.COGO["max_body_bytes"]
    try:
        body = request.body
    except RequestDataTooBig:
        raise BodyTooLarge(f"The body is larger than the {limit} bytes the gateway takes; send less.") from None
    if len(body) > limit:
        raise BodyTooLarge(f"The body is larger than the {limit} bytes the gateway takes; send less.")
    decoded = _decode(body)
    if not isinstance(decoded, dict):
        raise InvalidRequest("The body has to be a JSON object.")
    return decoded


def form_object(filled: Mapping[str, Any]) -> dict[str, Any]:
    """An HTML form's filled-in fields; :func:`fit` turns their text into numbers and flags."""
    return {name: value for name, value in filled.items() if value != "" and name != "csrfmiddlewaretoken"}


def fit(value: dict[str, Any], into: type[T], *, lax: bool = False) -> T:
    """``value`` as a struct. ``lax`` reads numbers and flags from text. Unknown fields are refused where the struct says so."""
    try:
        return msgspec.convert(value, into, strict=not lax)
    except msgspec.ValidationError as error:
        text, field = _readable(str(error))
        if field and "Invalid enum value" in text:
            text = f"`{field}` has to be one of {', '.join(_choices(into, field))}."
        raise InvalidRequest(text, param=field) from None


def _choices(into: type, field: str) -> list[str]:
    """The values that ``field`` (a path such as ``rows[0].kind``) of a struct may have, where they are a closed list."""
    types: list[inspect.Type] = [inspect.type_info(into)]
    for step in re.sub(r"\[[^]]*\]", ".[]", field).split("."):
        types = [inner for one in _plain(types) for inner in _inside(one, step)]
    return [str(value) for one in _plain(types) for value in _values(one)]


def _plain(types: Iterable[inspect.Type]) -> Iterator[inspect.Type]:
    """Without unions and remarks around them."""
    for one in types:
        if isinstance(one, inspect.Metadata):
            yield from _plain([one.type])
        elif isinstance(one, inspect.UnionType):
            yield from _plain(one.types)
        else:
            yield one


def _inside(one: inspect.Type, step: str) -> list[inspect.Type]:
    if isinstance(one, inspect.StructType):
        return [field.type for field in one.fields if field.encode_name == step]
    if step == "[]":
        return [one.item_type] if isinstance(one, inspect.ListType) else [one.value_type] if isinstance(one, inspect.DictType) else []
    return []


def _values(one: inspect.Type) -> Iterable[object]:
    if isinstance(one, inspect.LiteralType):
        return one.values
    return [member.value for member in one.cls] if isinstance(one, inspect.EnumType) else ()


def _decode(body: bytes) -> Any:
    try:
        return json.loads(body)
    except json.InvalidJson as error:
        raise InvalidJsonBody(f"The body is not acceptable JSON: {error}.") from None


def _readable(message: str) -> tuple[str, str | None]:
    """msgspec's ``Expected `int`, got `str` - at `$.max_tokens``` as a sentence about ``max_tokens``; the value itself is never in it."""
    what, _, where = message.partition(" - at `")
    field = where.removesuffix("`").removeprefix("$").removeprefix(".") or None
    if field is None and "`" in what:
        field = what.rsplit("`", 2)[1]
    return (f"`{field}`: {what}." if where and field else f"{what}."), field
