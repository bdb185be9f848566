"""One web worker: uvicorn over a listening socket that its parent bound. ``python -m cogo.web --fd
N``.

The socket is opened from its descriptor rather than by uvicorn's own ``fd`` option, which takes it
for a Unix socket and so leaves TCP_NODELAY off. Deadlines are ordered: the door ends streams after
``COGO_DRAIN_S``, uvicorn cancels what is left five seconds later, and only then does a supervisor
kill.
"""

from __future__ import annotations

import argparse
import gc
import os
import socket

import uvicorn
from typing_extensions import override

GRACE_AFTER_DRAIN_S = 5


def config(*, grace_s: int | None = None) -> uvicorn.Config:
    """How the gateway is served, in every way of starting it."""
    import django

    # Imported here because the connection limits import the door, and the door imports the models.
    django.setup()
    from cogo.connections import bounded
    from cogo.settings import COGO

    return uvicorn.Config(
        "cogo.asgi:application",
        http=bounded(COGO),
        loop="uvloop" if os.name != "nt" else "auto",
        ws="none",
        lifespan="on",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        backlog=2048,
        timeout_graceful_shutdown=COGO["drain_s"] + GRACE_AFTER_DRAIN_S if grace_s is None else grace_s,
    )


class Server(uvicorn.Server):
    """Exclude what the start built from garbage collection: going through Django's heap again and
    again took a quarter of the worker's processor time under load, and made the slowest requests
    three times slower."""

    @override
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        gc.collect()
        gc.freeze()
        gc.set_threshold(20_000, 20, 20)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m cogo.web", description="Serve the gateway on a listening socket.")
    parser.add_argument("--fd", type=int, required=True, help="descriptor of a listening socket")
    parser.add_argument("--grace", type=int, default=None, help="seconds from SIGTERM until running requests are cancelled")
    options = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cogo.settings")
    with socket.socket(fileno=options.fd) as listening:
        Server(config(grace_s=options.grace)).run(sockets=[listening])


if __name__ == "__main__":
    main()
