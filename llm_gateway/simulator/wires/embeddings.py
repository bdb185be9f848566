"""The OpenAI embeddings wire: unit vectors that depend on the text alone, as floats or base64."""

from __future__ import annotations

import base64
import math
import struct
import zlib
from functools import lru_cache
from operator import add
from typing import Any

from llm_gateway.simulator import tokens
from llm_gateway.simulator.reply import Problem, Reply, json_reply
from llm_gateway.simulator.rng import seeded
from llm_gateway.simulator.wires import common


@lru_cache(maxsize=512)
def _word(word: str, dimensions: int) -> tuple[float, ...]:
    rng = seeded(zlib.crc32(word.encode("utf-8", "replace")))
    return tuple(rng.random() - 0.5 for _ in range(dimensions))


def vector(text: str, dimensions: int) -> list[float]:
    """A unit vector, the same for the same text; texts that share words point in similar directions."""
    total = [0.0] * dimensions
    for word in (text.lower().split() or [""])[:32]:
        total = list(map(add, total, _word(word, dimensions)))
    length = math.sqrt(sum(value * value for value in total)) or 1.0
    return [value / length for value in total]


def inputs(value: Any) -> list[str]:
    """The texts to embed; token arrays count as texts. Raises Problem for anything else or for nothing."""
    if isinstance(value, str) and value:
        return [value]
    if isinstance(value, list) and value:
        if all(isinstance(item, int) for item in value):
            return [" ".join(map(str, value))]
        if all(isinstance(item, str) for item in value):
            return list(value)
        if all(isinstance(item, list) for item in value):
            return [" ".join(map(str, item)) for item in value]
    raise Problem("bad_request", "'$.input' is invalid. Please check the API reference.", "input", "invalid_value")


def embed(body: dict[str, Any], default_dimensions: int) -> Reply:
    """The whole answer to an embeddings request."""
    texts = inputs(body.get("input"))
    dimensions = common.whole_number(body, "dimensions") or default_dimensions
    counted = sum(tokens.count(text) for text in texts)
    data = []
    for index, text in enumerate(texts):
        values: list[float] | str = vector(text, min(dimensions, 4096))
        if body.get("encoding_format") == "base64":
            values = base64.b64encode(struct.pack(f"<{len(values)}f", *values)).decode()
        data.append({"object": "embedding", "index": index, "embedding": values})
    usage = {"prompt_tokens": counted, "total_tokens": counted}
    return json_reply({"object": "list", "data": data, "model": body.get("model"), "usage": usage}, billed=(counted, 0))
