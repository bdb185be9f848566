"""How many of our own functions one request walks through: each costs its part of a microsecond, and whoever reads the code follows each.

``pytest -s`` shows the figures; ``WALKS=FOLDER`` writes the walks down."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from types import FrameType

import pytest

from tests.support.gateway import GatewayServer
from tests.support.raw import connected, head, until
from tests.support.speaking import auth, request

ROOT = str(Path(__file__).resolve().parents[2]) + os.sep
OURS = (f"{ROOT}llm_gateway{os.sep}", f"{ROOT}cogo{os.sep}")
# Whatever has come by then belongs to the request: scores, leases and clocks have walks of their own.
LAST = "Places.leave"
# (dialect, streamed): calls and files at most. A few more than now, so that a step passes and a detour does not.
MOST = {
    ("openai_chat", False): (280, 75),
    ("openai_chat", True): (425, 86),
    ("anthropic_messages", False): (490, 101),
}


def walk(gateway: GatewayServer, dialect: str, stream: bool) -> list[str]:
    """``file:function`` of each call in the event loop's thread, resumed coroutines counted as calls, of a request like the ones before."""
    seen: list[str] = []

    def note(frame: FrameType, event: str, arg: object) -> None:
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(OURS):
            seen.append(f"{code.co_filename[len(ROOT) :]}:{code.co_qualname}")

    path, body = request(dialect, "chat/x", "say 3 words", stream)
    # As most SDKs write it.
    data = json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()
    raw = head("POST", path, auth(dialect, gateway.rows.key), len(data)) + data
    end = b"0\r\n\r\n" if stream else b"}"
    with connected(gateway.port) as peer:
        for _ in range(3):
            seen.clear()
            gateway.on_loop(sys.setprofile, note)
            peer.sendall(raw)
            got = until(peer, end)
            while not got.endswith(end):
                got += peer.recv(65536)
            gateway.on_loop(sys.setprofile, None)
    assert got.startswith(b"HTTP/1.1 200"), got[:300]
    last = max(place for place, one in enumerate(seen) if one.endswith(LAST))
    return seen[: last + 1]


@pytest.mark.slow
@pytest.mark.parametrize(("dialect", "stream"), MOST)
def test_a_request_walks_straight(gateway: GatewayServer, dialect: str, stream: bool) -> None:
    found = walk(gateway, dialect, stream)
    files = {one.partition(":")[0] for one in found}
    sys.stdout.write(f"\n{dialect}, {'streamed' if stream else 'whole'}: {len(found)} calls in {len(files)} files\n")
    if folder := os.environ.get("WALKS"):
        Path(folder, f"{dialect}-{stream}.txt").write_text("\n".join(found) + "\n")
    assert len(found) <= MOST[dialect, stream][0]
    assert len(files) <= MOST[dialect, stream][1]
