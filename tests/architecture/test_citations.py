"""A code that a comment or a docstring cites stands in docs/, so that a reader can look it up."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator

import pytest

from .test_rules_of_the_house import texts

CODE = re.compile(r"\b(?:[UCPTBR]\d{1,2}|A\d{1,2})\b")
# Names of the field that look like one of our codes.
NO_CITATION = frozenset({"R1", "C0", "C1"})


def documented() -> frozenset[str]:
    return frozenset(code for name, text in texts() if name.startswith("docs/") for code in CODE.findall(text))


def remarks(source: str) -> Iterator[str]:
    """The comments and docstrings of a module."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.string
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and (text := ast.get_docstring(node)):
            yield text


def cited() -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for name, text in texts():
        if name.endswith(".py") and "/migrations/" not in name and CODE.search(text):
            for remark in remarks(text):
                for code in CODE.findall(remark):
                    found.setdefault(code, set()).add(name)
    return found


def test_every_cited_code_is_documented() -> None:
    known = documented() | NO_CITATION
    assert {code: sorted(names)[:3] for code, names in cited().items() if code not in known} == {}


@pytest.mark.parametrize("remark", ["# as U33 says", '"""Proof T99 of nothing."""'])
def test_a_citation_is_seen_where_it_stands(remark: str) -> None:
    assert [code for text in remarks(remark + "\n") for code in CODE.findall(text)]


def test_documents_that_are_cited_by_name_exist() -> None:
    named = re.compile(r"(?<![\w./-])docs/([a-z-]+(?:\.md)?)")
    known = {name.removeprefix("docs/") for name, _ in texts() if name.startswith("docs/")} | {"decisions", "providers"}
    missing = {
        target
        for name, text in texts()
        if name.endswith(".py") and not name.startswith("tests/architecture/") and named.search(text)
        for remark in remarks(text)
        for target in named.findall(remark)
        if target not in known and f"{target}.md" not in known
    }
    assert missing == set()
