"""A line's row and its sealed result, as its dialect writes them."""

from __future__ import annotations

from llm_gateway.models import Batch, BatchLine
from llm_gateway.wires._batch import FORMATS, Result


def parts_of(dialect: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """The files of results that a dialect has, and the states of the lines in each."""
    return FORMATS[dialect].parts


def result_of(batch: Batch, line: BatchLine, body: bytes | None) -> Result:
    return Result(
        batch=batch.pk.hex,
        number=line.number,
        custom_id=line.custom_id,
        request_id=str(line.request_id) if line.request_id else "",
        state=line.state,
        status=line.status or 0,
        code=line.error_code,
        body=body,
    )


def rendered(batch: Batch, line: BatchLine, body: bytes | None) -> bytes:
    return FORMATS[batch.dialect].write(result_of(batch, line, body)) + b"\n"


def rendered_bytes(batch: Batch, line: BatchLine, body: bytes | None) -> int:
    return len(rendered(batch, line, body))
