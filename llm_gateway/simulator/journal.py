"""What was received and what became of it: in memory, and as append-only JSON lines that survive any kill.

Two lines a request: ``received`` at once, ``finished`` at its end. Each line is written and flushed before the call returns,
and fsynced right after by a thread of its own, so that a slow disk does not become a slow provider.
"""

from __future__ import annotations

import hashlib
import os
import queue
import threading
import time
from collections import deque
from pathlib import Path
from typing import Any

from llm_gateway.simulator.call import Call
from llm_gateway.simulator.peer import Peer
from llm_gateway.simulator.reply import dump

MEMORY_LIMIT = 100_000


def digest(key: str) -> str | None:
    """How a key is known here: the first 16 hexadecimal digits of its SHA-256."""
    return hashlib.sha256(key.encode()).hexdigest()[:16] if key else None


class Journal:
    """The journal of one simulator run."""

    def __init__(self, path: str | Path | None, keep_bodies: bool) -> None:
        self.entries: deque[dict[str, Any]] = deque(maxlen=MEMORY_LIMIT)
        self.keep_bodies = keep_bodies
        self._number = 0
        self._file = Path(path).open("ab", buffering=0) if path is not None else None  # noqa: SIM115  # closed in close()
        self._dirty: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._syncer = threading.Thread(target=self._sync, name="simulator-journal", daemon=True)
        if self._file is not None:
            self._syncer.start()

    def received(self, call: Call) -> dict[str, Any]:
        """Opens an entry. The key is never kept, only its digest."""
        self._number += 1
        request = call.request
        entry: dict[str, Any] = {
            "id": f"sim-{self._number:07d}",
            "time": time.time(),
            "mono": time.monotonic(),
            "provider": call.provider,
            "method": request.method,
            "path": request.path,
            "model": call.model,
            "stream": call.stream,
            "key_digest": digest(call.key),
            "host": request.headers.get("host"),
            "header_names": sorted(request.headers),
            "body_sha256": hashlib.sha256(request.body).hexdigest(),
            "fault": call.plan.label(),
            "status": None,
            "bytes_sent": 0,
            "input_tokens": 0,
            "output_tokens": 0,
            "duration_ms": None,
            "peer_closed": None,
            "outcome": None,
        }
        if self.keep_bodies:
            entry["body"] = request.body.decode("utf-8", "replace")
        self.entries.append(entry)
        self._write("received", entry)
        return entry

    def finished(self, entry: dict[str, Any], peer: Peer, outcome: str) -> None:
        """Closes an entry. ``peer_closed`` is filled when the peer went before the answer was complete."""
        entry["outcome"] = outcome
        entry["duration_ms"] = round((time.monotonic() - entry["mono"]) * 1000, 3)
        if outcome != "ok" and peer.gone.done() and not peer.gone.cancelled():
            entry["peer_closed"] = {"how": peer.gone.result(), "wall": peer.gone_wall, "mono": peer.gone_mono}
        self._write("finished", entry)

    def _write(self, event: str, entry: dict[str, Any]) -> None:
        if self._file is not None:
            self._file.write(dump({"event": event, **entry}) + b"\n")
            self._dirty.put(True)

    def _sync(self) -> None:
        while self._dirty.get():
            while not self._dirty.empty():
                if not self._dirty.get():
                    return
            if self._file is not None:
                os.fsync(self._file.fileno())

    def close(self) -> None:
        """Stops the thread and closes the file, everything on disk."""
        if self._file is not None:
            self._dirty.put(False)
            self._syncer.join(5)
            os.fsync(self._file.fileno())
            self._file.close()
            self._file = None
