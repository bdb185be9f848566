"""One file per provider: base path, key, errors, headers and routes."""

from __future__ import annotations

from llm_gateway.simulator.providers.anthropic import Anthropic
from llm_gateway.simulator.providers.base import Provider
from llm_gateway.simulator.providers.custom import Custom
from llm_gateway.simulator.providers.fireworks import Fireworks
from llm_gateway.simulator.providers.gemini import Gemini
from llm_gateway.simulator.providers.openai import OpenAI

ALL: tuple[Provider, ...] = (OpenAI(), Anthropic(), Gemini(), Fireworks(), Custom())
