"""What a routing decision was made of, small enough to be kept with every request, and enough to make it again bit by bit.

Numbers and digests stand for what is kept elsewhere once (the catalogue, the statistics, the candidates); no text of a caller is in it.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from hashlib import blake2b

import msgspec

from ._base import RequestFacts

# A draw has so many values, so that it is written down exactly.
DRAWS = 2**32
# Labels that callers write are no place for texts.
LABEL_CHARS = 40
_NEEDS = ["audio", "documents", "embeddings", "images", "json", "json_schema", "n", "reasoning", "tools"]


class Choice(msgspec.Struct, frozen=True, array_like=True):
    """``policy``: the number of the version that decided. ``catalogue``: the version its candidates are from. ``statistics`` and
    ``candidates``: keys of what the strategy saw; empty: nothing was measured. ``first``: who stood first. ``estimates``: nano-USD per
    candidate. ``p``: place and probability, one after the other, of those that could be first; empty: not known. ``canary``: a draw
    decided between two versions."""

    draw: int
    policy: int
    catalogue: int
    statistics: str
    candidates: str
    first: int
    prompt_tokens: int
    max_tokens: int | None
    needs: int | list[str]
    task_type: str
    language: str
    framework: str
    sticky: str
    user: str
    affinity: str
    estimates: list[int | None]
    p: list[float]
    canary: bool = False

    def facts(self, now: datetime, client: str, stream: bool) -> RequestFacts:
        """As the strategy had them; what the request's own row says is given."""
        named = [need for place, need in enumerate(_NEEDS) if self.needs >> place & 1] if isinstance(self.needs, int) else self.needs
        return RequestFacts(
            now=now,
            prompt_tokens=self.prompt_tokens,
            max_tokens=self.max_tokens,
            needs=frozenset(named),
            task_type=self.task_type or None,
            language=self.language or None,
            framework=self.framework or None,
            sticky=self.sticky,
            user=self.sticky if self.user == "=" else self.user,
            client=client,
            affinity=self.affinity,
            stream=stream,
        )

    def probabilities(self, count: int) -> list[float] | None:
        if not self.p:
            return None
        found = [0.0] * count
        for place, share in zip(self.p[::2], self.p[1::2], strict=True):
            found[int(place)] = share
        return found


_decoder = msgspec.json.Decoder(Choice)


def read_choice(text: str) -> Choice:
    """Raises ValueError (msgspec's) for what no version of this wrote."""
    return _decoder.decode(text)


def write_choice(
    facts: RequestFacts, *, draw: float, policy: int, catalogue: int, statistics: str, candidates: str, first: int,
    estimates: Sequence[int | None], p: Sequence[float], canary: bool,
) -> str:  # fmt: skip
    needs = _coded(facts.needs)
    pairs: list[float] = []
    for place, share in enumerate(p):
        if share > 0:
            # A whole number divided takes a third of the time of round().
            pairs += (place, 1 if share == 1 else int(share * 1e6 + 0.5) / 1e6)
    user = "=" if facts.user and facts.user == facts.sticky else facts.user
    made = Choice(
        int(draw * DRAWS), policy, catalogue, statistics, candidates, first, facts.prompt_tokens, facts.max_tokens, needs,
        facts.task_type or "", facts.language or "", facts.framework or "", facts.sticky, user, facts.affinity, list(estimates), pairs,
        canary,
    )  # fmt: skip
    return msgspec.json.encode(made).decode()


@lru_cache(maxsize=512)
def _coded(needs: frozenset[str]) -> int | list[str]:
    if not needs.issubset(_NEEDS):
        return sorted(needs)
    return sum(1 << place for place, need in enumerate(_NEEDS) if need in needs)


def digested(key: bytes, text: str) -> str:
    """What stands for ``text``: the same for the same text in every process of one installation; 11 characters, empty for nothing."""
    if not text:
        return ""
    return urlsafe_b64encode(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8, key=key).digest())[:11].decode()
