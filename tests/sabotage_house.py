"""The wrong lines for how the house is kept, as fields of :class:`tests.sabotage.Sabotage`."""

from __future__ import annotations

_TYPES = ("tests/architecture/test_types.py",)

HOUSE: tuple[tuple[str, str, str, str, tuple[str, ...]], ...] = (
    (
        "the checker lets a package off",
        "pyproject.toml",
        'files = ["cogo", "llm_gateway", "analytics"]',
        'files = ["cogo", "llm_gateway"]',
        _TYPES,
    ),
    ("the checker is lenient", "pyproject.toml", "strict = true", "strict = false", _TYPES),
    (
        "a format forgets the mark that ends its stream",
        "llm_gateway/wires/anthropic_messages/wire.py",
        'data: {"type":"message_stop"}',
        'data: {"type":"ping"}',
        ("tests/wires/test_end_marks.py",),
    ),
    (
        "a facet shows what a format has not",
        "llm_gateway/core/registry.py",
        "if (value := member(item)) is not None",
        "if (value := member(item)) is not member",
        ("tests/wires/test_end_marks.py", "-k", "only_what"),
    ),
    (
        "a key's place is another's",
        "llm_gateway/stores/vault.py",
        'return f"providerkey:{key.uid}:secret"',
        'return "providerkey:secret"',
        ("tests/actions/test_store_provider_key.py",),
    ),
)
