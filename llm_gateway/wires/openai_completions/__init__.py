"""OpenAI's legacy completions, for callers only: providers get a chat with one message."""

from llm_gateway.wires import Format, formats

from .dialect import DIALECT

FORMAT = formats.add(DIALECT.name, Format(name=DIALECT.name, dialect=DIALECT))

__all__ = ["DIALECT", "FORMAT"]
