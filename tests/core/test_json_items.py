"""Elements of a list come out the same however the document is cut, and bad documents are told."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from llm_gateway.core.json_items import Items, NotItems, one_line

ELEMENTS: list[dict[str, Any]] = [
    {"custom_id": "a", "params": {"text": 'quotes " and \\ and ]}[{ and "requests": ['}},
    {"custom_id": "b", "requests": [{"x": 1}], "nested": [[{"y": []}]]},
    {"text": 'ä\n\\\\\\"' * 40},
    {},
]
DOCUMENTS = (
    {"model": 'a "requests": [', "requests": ELEMENTS, "after": {"requests": [{"not": "these"}]}},
    {"batch": {"inputConfig": {"requests": {"requests": ELEMENTS}}, "displayName": "x"}},
)


def read(text: bytes, width: int, most: int = 1 << 20) -> tuple[list[Any], Any]:
    items = Items((b"requests",), most)
    found = [json.loads(one) for at in range(0, len(text), width) for one in items.feed(text[at : at + width])]
    found += [json.loads(one) for one in items.close()]
    return found, json.loads(items.rest)


@pytest.mark.parametrize("document", DOCUMENTS)
@pytest.mark.parametrize("indent", [None, 2])
def test_every_way_to_cut_a_document_gives_its_elements_and_the_rest(document: Any, indent: int | None) -> None:
    text = json.dumps(document, indent=indent).encode()
    rest = json.loads(json.dumps(document))
    (rest if "requests" in rest else rest["batch"]["inputConfig"]["requests"])["requests"] = []
    for width in (1, 2, 3, 5, 17, 100, len(text)):
        assert read(text, width) == (ELEMENTS, rest)
    for seed in range(20):
        width = random.Random(seed).randrange(1, 300)
        assert read(text, width)[0] == ELEMENTS


def test_bad_documents_are_told_and_bounded() -> None:
    for bad in (b"", b"{}", b'{"requests": [1, "a"]', b'{"requests": [{}', b"]]]", b'{"requests": [[1]]}', b'{"requests": [' + b"{" * 300):
        with pytest.raises(NotItems):
            read(bad, 7)
    for bad in (b'{"x": "' + b"y" * 5000, b'{"requests": [{"x": "' + b"y" * 5000):
        with pytest.raises(NotItems):
            read(bad, 500, most=2000)
    assert one_line(b'{\n "a": "b\\nc"\n}') == b'{"a":"b\\nc"}'
    with pytest.raises(NotItems):
        one_line(b"{\n nonsense}")
