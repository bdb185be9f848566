from __future__ import annotations

import pytest

from llm_gateway.policies.allowed import covered, fits, opens


@pytest.mark.parametrize(
    ("pattern", "name", "fitting"),
    [
        ("*", "anything/at all", True),
        ("claude-*", "claude-sonnet-5", True),
        ("claude-*", "my-claude-x", False),
        ("openai/gpt-5*", "openai/gpt-5-mini", True),
        ("openai/*", "openai2/x", False),
        ("gpt-?", "gpt-5", True),
        ("gpt-?", "gpt-55", False),
        ("a.b*", "aXb", False),
        ("a[bc]*", "ab", False),
        ("a[bc]*", "a[bc]d", True),
        ("m*", "M1", False),
    ],
)
def test_a_pattern_lets_names_through(pattern: str, name: str, fitting: bool) -> None:
    assert fits(pattern, (name,)) is fitting


@pytest.mark.parametrize(
    ("entry", "entries", "inside"),
    [
        ("a", ["a"], True),
        ("openai/gpt-5", ["openai/*"], True),
        ("openai/gpt-*", ["openai/*"], True),
        ("openai/*", ["openai/gpt-*"], False),
        ("*", ["openai/*"], False),
        ("g*", ["g?"], False),
        ("g?", ["g*"], True),
        ("x", [], False),
    ],
)
def test_a_list_covers_what_it_lets_through(entry: str, entries: list[str], inside: bool) -> None:
    assert covered(entry, entries) is inside


def test_only_a_word_about_strategies_opens_what_strategies_choose_from() -> None:
    assert opens({"auto"}, "enterprise")
    assert opens({"strategy:enterprise"}, "enterprise")
    assert opens({"strategy:*"}, "enterprise")
    assert not opens({"strategy:other"}, "enterprise")
    assert not opens({"a*", "*"}, "enterprise")
