"""Which provider's model made the thinking that callers send back, for answers that were relayed byte for byte.

A translated answer carries its issuer in the token. A relayed one is the provider's own bytes, so the gateway remembers a digest of each
token instead. What is forgotten (after a restart, in another process) costs one more try, no more: see policies/thinking.py.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from hashlib import blake2s

MOST = 50_000


class Issuers:
    __slots__ = ("_known", "_most", "_names")

    def __init__(self, most: int = MOST) -> None:
        self._known: OrderedDict[bytes, int] = OrderedDict()
        self._names: dict[str, int] = {}
        self._most = most

    def note(self, token: str, issuer: str) -> None:
        key = _digest(token)
        self._known[key] = self._names.setdefault(issuer, len(self._names))
        self._known.move_to_end(key)
        if len(self._known) > self._most:
            self._known.popitem(last=False)

    def strangers(self, issuer: str) -> Callable[[str], bool] | None:
        """Tells tokens that somebody else made; ``None`` while nobody else was heard of, which spares reading the conversation."""
        own = self._names.get(issuer)
        if not self._names or (len(self._names) == 1 and own is not None):
            return None
        known = self._known
        return lambda token: known.get(_digest(token), own) != own


def _digest(token: str) -> bytes:
    return blake2s(token.encode("utf-8", "replace"), digest_size=12).digest()
