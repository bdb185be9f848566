"""The models each simulated provider lists, and those it has retired (asking for them is answered as the provider would).

Names and dates as of 2026-11-22. Any other name is served too, unless the simulator was started strict.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Model:
    id: str
    title: str = ""
    context: int = 400_000
    output: int = 128_000
    created: str = "2026-05-01T00:00:00Z"
    ends: str | None = None
    embedding: bool = False
    retired: bool = False


def _gone(*names: str) -> tuple[Model, ...]:
    return tuple(Model(name, name, ends="2025-10-28", retired=True) for name in names)


SNAPSHOTS = {
    "gpt-4o": "gpt-4o-2024-08-06",
    "gpt-4o-mini": "gpt-4o-mini-2024-07-18",
    "gpt-4.1": "gpt-4.1-2025-04-14",
    "gpt-5": "gpt-5-2025-08-07",
    "gpt-5-mini": "gpt-5-mini-2025-08-07",
    "o3": "o3-2025-04-16",
    "claude-haiku-4-5": "claude-haiku-4-5-20251001",
    "claude-sonnet-4-5": "claude-sonnet-4-5-20250929",
}
FIREWORKS = "accounts/fireworks/models/"
MODELS: dict[str, tuple[Model, ...]] = {
    "openai": (
        Model("gpt-6-luna", context=1_050_000),
        Model("gpt-6.1-sol", context=1_050_000),
        Model("gpt-6.1-terra", context=1_050_000),
        Model("gpt-6-astra", context=1_050_000),
        Model("gpt-5.6-sol"),
        Model("gpt-5.4-mini"),
        Model("gpt-5", ends="2026-12-11"),
        Model("gpt-5-mini", ends="2026-12-11"),
        Model("o3", context=200_000, ends="2026-12-11"),
        Model("gpt-4.1", context=1_047_576, output=32_768, ends="2027-01-14"),
        Model("gpt-4o", context=128_000, output=16_384, ends="2027-01-14"),
        Model("gpt-4o-mini", context=128_000, output=16_384),
        Model("text-embedding-3-small", context=8_191, embedding=True),
        Model("text-embedding-3-large", context=8_191, embedding=True),
        *_gone("gpt-4o-2024-05-13", "gpt-4.1-nano", "gpt-3.5-turbo-0613"),
    ),
    "anthropic": (
        Model("claude-fable-5-1", "Claude Fable 5.1", 1_000_000),
        Model("claude-opus-5-5", "Claude Opus 5.5", 1_000_000),
        Model("claude-opus-5", "Claude Opus 5", 1_000_000),
        Model("claude-sonnet-5-5", "Claude Sonnet 5.5", 1_000_000),
        Model("claude-sonnet-5", "Claude Sonnet 5", 1_000_000),
        Model("claude-haiku-5-5", "Claude Haiku 5.5", 1_000_000, 64_000),
        Model("claude-haiku-4-5-20251001", "Claude Haiku 4.5", 200_000, 64_000, "2025-10-15T00:00:00Z"),
        Model("claude-sonnet-4-5-20250929", "Claude Sonnet 4.5", 1_000_000, 64_000, "2025-09-29T00:00:00Z", "2026-11-30"),
        *_gone("claude-3-5-sonnet-20241022", "claude-3-7-sonnet-20250219", "claude-3-5-haiku-20241022"),
        *_gone("claude-3-opus-20240229", "claude-sonnet-4-20250514", "claude-opus-4-20250514"),
    ),
    "gemini": (
        Model("gemini-4-argon", "Gemini 4 Argon", 1_048_576, 65_536),
        Model("gemini-3.8-flash", "Gemini 3.8 Flash", 1_048_576, 65_536),
        Model("gemini-3.5-flash", "Gemini 3.5 Flash", 1_048_576, 65_536),
        Model("gemini-3.5-flash-lite", "Gemini 3.5 Flash-Lite", 1_048_576, 65_536),
        Model("gemini-3.1-pro-preview", "Gemini 3.1 Pro Preview", 1_048_576, 65_536),
        Model("gemini-2.5-pro", "Gemini 2.5 Pro", 1_048_576, 65_536, ends="2026-12-01"),
        Model("gemini-2.5-flash", "Gemini 2.5 Flash", 1_048_576, 65_536, ends="2026-12-01"),
        Model("gemini-embedding-001", "Gemini Embedding 001", 2_048, 1, embedding=True),
        Model("gemini-embedding-2", "Gemini Embedding 2", 8_192, 1, embedding=True),
        *_gone("gemini-1.5-pro", "gemini-1.5-flash", "gemini-2.0-flash", "text-embedding-004"),
    ),
    "fireworks": (
        Model(FIREWORKS + "kimi-k3", "Kimi K3", 262_144, 32_768),
        Model(FIREWORKS + "qwen3p8-max", "Qwen3.8 Max", 262_144, 65_536),
        Model(FIREWORKS + "qwen3p7-plus", "Qwen3.7 Plus", 262_144, 65_536),
        Model(FIREWORKS + "glm-5p3", "GLM 5.3", 202_752, 65_536),
        Model(FIREWORKS + "deepseek-v4p1-flash", "DeepSeek V4.1 Flash", 1_048_576, 65_536),
        Model(FIREWORKS + "minimax-m3", "MiniMax M3", 524_288, 65_536),
        Model(FIREWORKS + "qwen3-embedding-8b", "Qwen3 Embedding 8B", 40_960, 1, embedding=True),
        *_gone(FIREWORKS + "qwen3-coder-480b-a35b-instruct", FIREWORKS + "kimi-k2p6", FIREWORKS + "gpt-oss-120b"),
    ),
    "custom": (
        Model("local-coder-7b", "Local Coder 7B", 32_768, 8_192),
        Model("local-reasoner-8b", "Local Reasoner 8B", 32_768, 8_192),
        Model("local-embed", "Local Embed", 8_192, 1, embedding=True),
    ),
}
