"""Keeping together what shares a prompt cache, and drawing by weight. Pure: the same text finds the same candidate in every process."""

from __future__ import annotations

import math
from collections.abc import Sequence
from hashlib import blake2b

from ._base import Candidate, RequestFacts


def place(*parts: str) -> float:
    """A uniform number in (0, 1) that depends on nothing but ``parts``."""
    digest = blake2b("\x1f".join(parts).encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return (int.from_bytes(digest, "big") + 0.5) / 2**64


def identity(candidate: Candidate) -> str:
    """What marks a deployment across processes and restarts: a provider's cache belongs to key and model."""
    target = candidate.target
    return f"{target.credential.id}/{target.upstream_id}"


def spread(
    indices: Sequence[int], weights: Sequence[float], candidates: Sequence[Candidate], facts: RequestFacts, draw: float, salt: str = ""
) -> list[int]:
    """``indices`` of equal rank in a weighted order: by rendezvous hashing of ``facts.affinity`` when there is one, so that a prompt prefix
    comes back to the deployment that has it cached and only its share moves when one leaves; else by ``draw``. A weight of 0 goes last.

    ``facts.sticky`` is hashed along: one system prompt shared by everybody must not send everybody to one deployment. ``salt`` makes two
    spreads of one request independent of each other.
    """
    seed = f"{facts.sticky}\x1f{facts.affinity}" if facts.affinity else f"draw:{draw!r}"
    seed = f"{salt}\x1f{seed}" if salt else seed

    def key(pair: tuple[int, float]) -> tuple[float, int]:
        index, weight = pair
        if weight <= 0:
            return (math.inf, index)
        # Weighted rendezvous hashing: the smallest of -ln(u)/w wins with probability w / sum(w).
        return (-math.log(place(seed, identity(candidates[index]))) / weight, index)

    return [index for index, _ in sorted(zip(indices, weights, strict=True), key=key)]
