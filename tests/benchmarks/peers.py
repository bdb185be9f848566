"""Other gateways, where their tools are installed: ``COGO_PEERS_DIR`` holds a folder for each (docs/performance.md says how to fill it).

One function each, which starts it in front of the upstream with its own log and telemetry off, and says how it wants to be asked."""

from __future__ import annotations

import json
import os
import re
import socket
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from .contenders import Contender, Field, environment
from .processes import NotReady, Program

PORTKEY_SERVER = "node_modules/@portkey-ai/gateway/build/start-server.js"
_EMBED = """
import sys, time
import tensorzero.tensorzero as library
found = library._start_http_gateway(
    config_file=sys.argv[1], clickhouse_url=None, postgres_url=None, valkey_url=None, async_setup=False
)
open(sys.argv[2], "w").write(found.base_url)
while True:
    time.sleep(60)
"""


class Missing(Exception):
    """Not installed."""


def _port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def _litellm(place: Path, ground: Field, models: Iterable[str]) -> Contender:
    program = place / "bin/litellm"
    if not program.exists():
        raise Missing
    # JSON is YAML.
    deployments = [
        {"model_name": one, "litellm_params": {"model": f"openai/{one}", "api_base": ground.url, "api_key": "none"}} for one in models
    ]
    config = ground.folder / "litellm.yaml"
    settings = {"telemetry": False, "num_retries": 0}
    config.write_text(
        json.dumps({"model_list": deployments, "general_settings": {"master_key": "sk-bench"}, "litellm_settings": settings})
    )  # fmt: skip
    env = environment(ground.folder, {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_MODE": "PRODUCTION", "LITELLM_LOG": "ERROR"})
    port = _port()
    command = [str(program), "--config", str(config), "--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"]
    started = Program(command, log=ground.folder / "litellm.log", env=env, cwd=place, ready="/health/liveliness", port=port)
    return Contender("LiteLLM", ground.keep(started), headers={"authorization": "Bearer sk-bench"})


def _portkey(place: Path, ground: Field, _models: Iterable[str]) -> Contender:
    if not (place / PORTKEY_SERVER).exists():
        raise Missing
    port = _port()
    command = ["node", PORTKEY_SERVER, f"--port={port}", "--headless"]
    started = Program(command, log=ground.folder / "portkey.log", env=environment(ground.folder), cwd=place, port=port)
    headers = {"authorization": "Bearer x", "x-portkey-provider": "openai", "x-portkey-custom-host": ground.url}
    return Contender("Portkey", ground.keep(started), headers=headers)


def _tensorzero(place: Path, ground: Field, models: Iterable[str]) -> Contender:
    program = place / "bin/python"
    if not program.exists():
        raise Missing
    lines = ["[gateway]", "observability.enabled = false"]
    for one in models:
        lines += [f"[models.{one}]", 'routing = ["up"]', f"[models.{one}.providers.up]", 'type = "openai"', f'model_name = "{one}"']
        lines += [f'api_base = "{ground.url}/"', 'api_key_location = "none"']
    config = ground.folder / "tensorzero.toml"
    config.write_text("\n".join(lines) + "\n")
    # It chooses its port and tells it in a file.
    told = ground.folder / "tensorzero.url"

    def port() -> int:
        found = re.search(r":(\d+)", told.read_text().partition("//")[2]) if told.exists() else None
        return int(found[1]) if found else 0

    started = Program(
        [str(program), "-c", _EMBED, str(config), str(told)],
        log=ground.folder / "tensorzero.log", env=environment(ground.folder), cwd=place, ready="/health", port=port,
    )  # fmt: skip
    return Contender("TensorZero", ground.keep(started), path="/openai/v1/chat/completions", prefix="tensorzero::model_name::")


PEERS: dict[str, Callable[[Path, Field, Iterable[str]], Contender]] = {
    "litellm": _litellm,
    "portkey": _portkey,
    "tensorzero": _tensorzero,
}


def present(ground: Field, wanted: Iterable[str], models: Iterable[str], say: Callable[[str], None]) -> Iterator[Contender]:
    folder = os.environ.get("COGO_PEERS_DIR", "")
    for name in (one for one in wanted if folder and one):
        try:
            yield PEERS[name](Path(folder).resolve() / name, ground, models)
        except Missing:
            say(f"{name} is not in COGO_PEERS_DIR")
        except NotReady as trouble:
            say(f"{name} does not start: {trouble}")
