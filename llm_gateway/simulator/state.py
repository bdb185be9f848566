"""What the simulator remembers and can be told at run time: personalities, scripts, fault sequences, caches, models."""

from __future__ import annotations

import zlib
from collections import OrderedDict, deque
from dataclasses import asdict, dataclass, field
from typing import Any

from llm_gateway.simulator import catalogue, faults
from llm_gateway.simulator.batches import Batches
from llm_gateway.simulator.faults import Plan
from llm_gateway.simulator.neutral import Ask
from llm_gateway.simulator.rng import seeded

PROVIDERS = ("openai", "anthropic", "gemini", "fireworks", "custom")
VERDICTS = ("invalid", "expired", "noperm", "region", "nolist", "broke", "limited")
STATES = ("up", "down", "slow", "flaky", "unauthorized", "overloaded", "quota", "ratelimited", "fault")
_BLOCK = 4096
_CACHE_ENTRIES = 50_000
_FLAKY = ("status:500", "status:503", "rst@0", "rst@1", "badjson", "status:429")
_MISSING = ("nonexistent", "does-not-exist", "no-such", "unknown-model", "missing-model")


@dataclass(slots=True)
class Personality:
    """How a provider behaves. Milliseconds; ``jitter`` is a share of them; ``p`` and ``faults`` belong to flaky, ``slow_ms``
    comes on top of the latency when slow (the chunks then take ten times as long)."""

    state: str = "up"
    latency_ms: float = 30.0
    chunk_ms: float = 5.0
    slow_ms: float = 2000.0
    jitter: float = 0.0
    p: float = 0.3
    faults: list[str] = field(default_factory=lambda: list(_FLAKY))


@dataclass(slots=True)
class Sequence:
    """Successive behaviours of a model; ``repeat`` starts over when they are used up."""

    steps: deque[str]
    whole: tuple[str, ...]
    repeat: bool = False


class State:
    """One simulator's memory. Not thread-safe: touched only by the server's loop."""

    def __init__(self, seed: int, latency_ms: float, chunk_ms: float, strict_models: bool) -> None:
        self.seed = seed
        self.strict_models = strict_models
        self._defaults = (latency_ms, chunk_ms)
        self.reset()

    def reset(self) -> None:
        """Back to the state at start; the journal is not touched."""
        latency, chunk = self._defaults
        self.personalities = {name: Personality(latency_ms=latency, chunk_ms=chunk) for name in PROVIDERS}
        self.rngs = {name: seeded(f"{self.seed}/{name}") for name in PROVIDERS}
        self.script: deque[dict[str, Any]] = deque()
        self.script_only_with_tools = False
        self.sequences: dict[str, Sequence] = {}
        self.cache: OrderedDict[tuple[str, str, int, int], None] = OrderedDict()
        self.extra: dict[str, list[catalogue.Model]] = {name: [] for name in PROVIDERS}
        self.keys: dict[str, str] = {}
        self.batches = Batches()

    def snapshot(self) -> dict[str, Any]:
        """For GET /_sim/state."""
        return {
            "seed": self.seed,
            "strict_models": self.strict_models,
            "personalities": {name: asdict(one) for name, one in self.personalities.items()},
            "script_left": len(self.script),
            "sequences": {model: list(one.steps) for model, one in self.sequences.items()},
            "keys_overridden": len(self.keys),
        }

    def models(self, provider: str) -> tuple[catalogue.Model, ...]:
        """Every model of a provider, those added at run time first; the first of a name counts."""
        seen = {one.id: one for one in reversed((*self.extra[provider], *catalogue.MODELS[provider]))}
        return tuple(reversed(seen.values()))

    def find_model(self, provider: str, model: str) -> catalogue.Model | None:
        """The model as served, or None when the provider would say that there is none of this name."""
        if faults.MARK in model or self._sequence_of(model) is not None:
            return catalogue.Model(model, model, context=1_000_000, output=1_000_000)
        for one in self.models(provider):
            if one.id == model:
                return one
        if not model or self.strict_models or any(word in model for word in _MISSING):
            return None
        return catalogue.Model(model, model, context=1_000_000, output=1_000_000, embedding="embed" in model)

    def plan(self, provider: str, model: str, generates: bool) -> Plan:
        """The faults of the next call: named by the model, else programmed for it, else the provider's mood."""
        spec = faults.in_model(model)
        if spec is None and generates and self.script and "fault" in self.script[0]:
            spec = str(self.script.popleft()["fault"])
        if spec is None:
            spec = self._next_in_sequence(model)
        if spec is None:
            spec = self._mood(provider, generates)
        return faults.parse(spec) if spec else faults.NO_FAULT

    def _sequence_of(self, model: str) -> Sequence | None:
        return self.sequences.get(model) or self.sequences.get(model.rpartition("/")[2])

    def _next_in_sequence(self, model: str) -> str | None:
        sequence = self._sequence_of(model)
        if sequence is None:
            return None
        if not sequence.steps and sequence.repeat:
            sequence.steps.extend(sequence.whole)
        return sequence.steps.popleft() if sequence.steps else None

    def _mood(self, provider: str, generates: bool) -> str | None:
        personality = self.personalities[provider]
        if personality.state == "down":
            return "rst@0"
        if not generates:
            return None
        if personality.state == "fault" and personality.faults:
            return personality.faults[0]
        if personality.state == "flaky" and self.rngs[provider].random() < personality.p:
            return self.rngs[provider].choice(personality.faults)
        return None

    def pace(self, provider: str) -> tuple[float, float]:
        """Seconds to the first token and between tokens, for this call."""
        one = self.personalities[provider]
        latency, chunk = one.latency_ms, one.chunk_ms
        if one.state == "slow":
            latency, chunk = latency + one.slow_ms, chunk * 10
        factor = 1 + one.jitter * self.rngs[provider].uniform(-1, 1) if one.jitter else 1.0
        return latency * factor / 1000, chunk * factor / 1000

    def next_step(self, ask: Ask) -> dict[str, Any] | None:
        """The next scripted step, used up by this call."""
        if not self.script or (self.script_only_with_tools and not ask.tools):
            return None
        return self.script.popleft()

    def cached(self, provider: str, ask: Ask) -> tuple[int, int]:
        """(read, written) cache tokens for this prompt, which is remembered. Prefixes under 1024 tokens never count."""
        prompt = "\x1e".join(ask.texts)
        size = len(prompt) if ask.cacheable is None else min(ask.cacheable, len(prompt))
        if size < _BLOCK:
            return 0, 0
        read = at = check = 0
        marks = [*range(_BLOCK, size + 1, _BLOCK)]
        if marks[-1] != size:
            marks.append(size)
        matching = True
        for mark in marks:
            check = zlib.crc32(prompt[at:mark].encode("utf-8", "replace"), check)
            at = mark
            entry = (provider, ask.model, mark, check)
            if matching and entry in self.cache:
                read = mark // 4
            else:
                matching = matching and mark % _BLOCK != 0
            self.cache[entry] = None
            self.cache.move_to_end(entry)
        while len(self.cache) > _CACHE_ENTRIES:
            self.cache.popitem(last=False)
        total = ask.input_tokens()
        read = min(read, total)
        return read, max(0, min(size // 4, total) - read)
