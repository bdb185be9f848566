"""Keeping together what shares a prompt cache, and drawing by weight. Pure: the same text finds the same candidate in every process."""

from __future__ import annotations

import math
from collections.abc import Sequence
from hashlib import blake2b

from ._base import Candidate, RequestFacts
from ._layout import layout


def place(*parts: str) -> float:
    """A uniform number in (0, 1) that depends on nothing but ``parts``."""
    digest = blake2b("\x1f".join(parts).encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return (int.from_bytes(digest, "big") + 0.5) / 2**64


def spread(
    indices: Sequence[int], weights: Sequence[float], candidates: Sequence[Candidate], facts: RequestFacts, draw: float, salt: str = ""
) -> list[int]:
    """``indices`` of equal rank in a weighted order: by rendezvous hashing of ``facts.affinity`` when there is one, so that a prompt prefix
    comes back to the deployment that has it cached and only its share moves when one leaves; else by ``draw``. A weight of 0 goes last.

    ``facts.sticky`` is hashed along: one system prompt shared by everybody must not send everybody to one deployment. ``salt`` makes two
    spreads of one request independent of each other.
    """
    return raced(indices, weights, layout(candidates, indices).identities, seed_of(facts, draw, salt))


def seed_of(facts: RequestFacts, draw: float, salt: str) -> bytes:
    """What is hashed before the names of those that run."""
    seed = f"{facts.sticky}\x1f{facts.affinity}" if facts.affinity else f"draw:{draw!r}"
    return (f"{salt}\x1f{seed}\x1f" if salt else f"{seed}\x1f").encode("utf-8", "surrogatepass")


def raced(indices: Sequence[int], weights: Sequence[float], identities: Sequence[bytes], seed: bytes) -> list[int]:
    """Weighted rendezvous hashing: the smallest of -ln(u)/w wins with probability w / sum(w)."""
    if len(indices) == 1:
        return [indices[0]]
    keys = []
    for index, weight in zip(indices, weights, strict=True):
        if weight > 0:
            number = int.from_bytes(blake2b(seed + identities[index], digest_size=8).digest(), "big")
            keys.append((-math.log((number + 0.5) / 2**64) / weight, index))
        else:
            keys.append((math.inf, index))
    keys.sort()
    return [index for _, index in keys]
