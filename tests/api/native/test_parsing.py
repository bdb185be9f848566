"""What does not fit is refused by a sentence that names the field and never repeats the value."""

from __future__ import annotations

import enum
from typing import Annotated, Any, Literal

import msgspec
import pytest

from llm_gateway.api.native.parsing import fit
from llm_gateway.core.errors import InvalidRequest


class Colour(enum.StrEnum):
    RED = "red"
    BLUE = "blue"


class Row(msgspec.Struct):
    kind: Literal["x", "y"] | None = None


class Body(msgspec.Struct):
    colour: Colour = Colour.RED
    rows: list[Row] = []
    outcome: Annotated[Literal["kept", "edited"], msgspec.Meta(description="…")] | None = None
    by_name: dict[str, Colour] = {}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"colour": "hidden"}, "`colour` has to be one of red, blue."),
        ({"rows": [{}, {"kind": "hidden"}]}, "`rows[1].kind` has to be one of x, y."),
        ({"outcome": "hidden"}, "`outcome` has to be one of edited, kept."),
        ({"by_name": {"a": "hidden"}}, "`by_name[...]` has to be one of red, blue."),
    ],
)
def test_a_closed_list_is_named(value: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        fit(value, Body)
    assert refused.value.message == message
