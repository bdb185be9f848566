"""Batches in each dialect: how a line of input is read, and how a line of results is written.
Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from . import anthropic, gemini, native, openai
from ._base import BatchFormat, Fault, Item, Result

FORMATS: Final[Mapping[str, BatchFormat]] = {one.name: one for one in (openai.FORMAT, anthropic.FORMAT, gemini.FORMAT, native.FORMAT)}

__all__ = ["FORMATS", "BatchFormat", "Fault", "Item", "Result"]
