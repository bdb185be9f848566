"""What hosts and proxies send to keep a stream open, where its format has an event."""

from __future__ import annotations

import re
from typing import Final

_ALIVE: Final = re.compile(
    rb'[\s":[{]*(?:null|none|true|false|ping|pong|keep[-_ ]?alive|heartbeat|processing|waiting|\d+)?[\s"\]}.]*', re.IGNORECASE
)


def is_alive(data: bytes) -> bool:
    """Whether an event's data says nothing: ``null``, ``ping``, an empty object."""
    return len(data) < 100 and _ALIVE.fullmatch(data) is not None
