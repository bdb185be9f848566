"""Tables and JSONL as lines of batches: what people export, and what is wrong with it, by its line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from llm_gateway.wires._batch import FORMATS, Fault
from llm_gateway.wires._batch.table import LONGEST_CELL, Kind, json_lines, kind_of, table

DEFAULTS = {"model": "auto"}


def cut(data: bytes, size: int) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


def rows(data: bytes | str, prompt: str = "", **defaults: Any) -> list[dict[str, Any]]:
    """The same however the bytes are cut."""
    whole = data.encode() if isinstance(data, str) else data
    found = [
        [
            (one.number, one.text if isinstance(one.text, bytes) else one.text.message)
            for one in table(cut(whole, size), prompt, DEFAULTS | defaults)
        ]
        for size in (3, 7, 1 << 20)
    ]
    assert found[0] == found[1] == found[2]
    return [json.loads(text) if isinstance(text, bytes) else {"line": number, "fault": text} for number, text in found[2]]


def fault(data: bytes | str, prompt: str = "") -> str:
    with pytest.raises(Fault) as caught:
        rows(data, prompt)
    return caught.value.message


def test_a_prompt_with_columns_is_filled_from_each_row() -> None:
    text = 'what,in which language,custom_id\n"a, ""quoted"" cell\nof two lines",Python,first\n\nslugify,Go,\n'
    found = rows(text, 'Write {what} in {in which language}. Keep {{what}}, {this} and {"a": 1}.'.replace("{this}", "{}"), max_tokens=7)
    assert found == [
        {"custom_id": "first", "model": "auto", "max_tokens": 7,
         "prompt": 'Write a, "quoted" cell\nof two lines in Python. Keep {what}, {} and {"a": 1}.'},
        {"custom_id": "row-2", "model": "auto", "max_tokens": 7, "prompt": 'Write slugify in Go. Keep {what}, {} and {"a": 1}.'},
    ]  # fmt: skip
    assert [FORMATS["native"].read(json.dumps(one).encode(), "generate").custom_id for one in found] == ["first", "row-2"]


@pytest.mark.parametrize(
    "data",
    [
        "prompt,other\nhé,x\n".encode(),
        "\ufeffprompt;other\r\nhé;x\r\n".encode(),
        "prompt\tother\nhé\tx".encode(),
        "prompt,other\nhé,x\n".encode("utf-16"),
        "anything\nhé\n".encode(),
        '"custom_id","text"\n"row-1","hé"\n'.encode(),
    ],
    ids=["comma", "excel in europe", "tabs", "utf-16", "one column", "one column and names"],
)
def test_tables_as_spreadsheets_write_them_are_read(data: bytes) -> None:
    assert rows(data) == [{"custom_id": "row-1", "model": "auto", "prompt": "hé"}]


def test_what_is_wrong_with_a_table_is_said_with_its_line() -> None:
    assert "first line has to name" in fault("")
    assert "Which column is the prompt?" in fault("a,b\n1,2\n")
    assert "Column 2 has no heading" in fault("a,\n1,2\n", "{a}")
    assert "Two columns are called `a`" in fault("a,a\n1,2\n", "{a}")
    assert "has the field `{lang}`, and the table has no such column; it has `a`, `b`." in fault("a,b\n1,2\n", "{a} {lang}")
    assert "Line 3 is not UTF-8" in fault(b"prompt\nfine\n\xe4\n")
    assert "cannot be read as CSV" in fault('prompt\n"a"b\n')
    with pytest.raises(Fault, match="longer than 32 MB"):
        list(table(cut(b"prompt\n" + b"x" * (LONGEST_CELL + 10), 256 << 10), "", {}))
    assert rows("prompt,b\nx\n\ny,1\n ,2\nz,\x00\n") == [
        {"line": 2, "fault": "The row has 1 cells and the table 2 columns; quote cells that hold the separator."},
        {"custom_id": "row-2", "model": "auto", "prompt": "y"},
        {"line": 5, "fault": "The prompt is blank."},
        {"line": 6, "fault": "The row holds a NUL."},
    ]


def test_the_first_line_of_jsonl_says_whose_it_is() -> None:
    body = {"model": "m", "messages": []}
    for line, dialect, endpoint in (
        ({"custom_id": "a", "method": "POST", "url": "/v1/responses", "body": body}, "openai", "/v1/responses"),
        ({"custom_id": "a", "method": "POST", "url": "/v1/nonsense", "body": body}, "openai", "/v1/chat/completions"),
        ({"custom_id": "a", "params": body}, "anthropic", "/v1/messages"),
        ({"key": "a", "request": {"contents": []}}, "gemini", "generateContent"),
        ({"prompt": "x"}, "native", "generate"),
    ):
        kind = kind_of(json.dumps(line).encode())
        assert (kind.dialect, kind.endpoint) == (dialect, endpoint)
    for nonsense in (b"{", b"\xff", b"[1]", b"7", b'"x"', b"[" * 100_000):
        assert kind_of(nonsense).dialect == "native"


def test_native_lines_get_what_they_lack_and_keep_what_they_have() -> None:
    kind = Kind(dialect="native", endpoint="generate", takes_model=True)
    lines = [
        b'{"prompt": "x"}', b"  ", b'{"prompt": "x", "model": "m", "custom_id": "own", "score": false}', b"[1]", b"{",
        b'{"prompt": "x", "strategy": "s"}', b'{"code": "x", "kind": "analyze"}',
    ]  # fmt: skip
    found = list(json_lines(enumerate(lines, 1), kind, {"model": "auto", "score": True}))
    assert [one.number for one in found] == [1, 3, 4, 5, 6, 7]
    told = [json.loads(one.text) if isinstance(one.text, bytes) else one.text.message for one in found]
    assert told[0] == {"prompt": "x", "custom_id": "line-1", "model": "auto", "score": True}
    assert told[1] == {"prompt": "x", "model": "m", "custom_id": "own", "score": False}
    assert told[2] == "The line is no JSON object."
    assert "no JSON object" in told[3]
    assert told[4] == {"prompt": "x", "strategy": "s", "custom_id": "line-6", "score": True}
    assert told[5] == {"code": "x", "kind": "analyze", "custom_id": "line-7", "model": "auto"}
