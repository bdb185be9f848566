"""OpenAI's legacy completions, for callers only: over providers it is a chat with one message."""

from llm_gateway.wires import dialects

from .dialect import DIALECT

dialects.add(DIALECT.name, DIALECT)

__all__ = ["DIALECT"]
