"""Token counting, the same everywhere in the simulator so that usage and count endpoints always agree."""

CHARS_PER_TOKEN = 4


def count(text: str) -> int:
    """Tokens in ``text``: characters divided by four, rounded up. Empty text has none."""
    return (len(text) + CHARS_PER_TOKEN - 1) // CHARS_PER_TOKEN


def cut(text: str, tokens: int) -> str:
    """The longest beginning of ``text`` that counts at most ``tokens``."""
    return text[: max(0, tokens) * CHARS_PER_TOKEN]
