"""One file per provider: base path, key, errors, headers and routes."""

from __future__ import annotations

from .anthropic import Anthropic
from .base import Provider
from .custom import Custom
from .fireworks import Fireworks
from .gemini import Gemini
from .openai import OpenAI

ALL: tuple[Provider, ...] = (OpenAI(), Anthropic(), Gemini(), Fireworks(), Custom())
