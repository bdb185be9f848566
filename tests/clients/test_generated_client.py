"""A client that a generator makes of the gateway's own OpenAPI document calls it: nothing is left out of it, and its types fit."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.gateway import GatewayServer

pytestmark = pytest.mark.slow

PACKAGE = "made_client"


@pytest.fixture(scope="module")
def made(gateway_server: GatewayServer, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The generated package, imported; and what its maker warned of."""
    folder: Path = tmp_path_factory.mktemp("made")
    document = gateway_server.http.get("/api/schema/", headers={"accept": "application/vnd.oai.openapi+json"}).json()
    (folder / "schema.json").write_text(json.dumps(document), encoding="utf-8")
    (folder / "config.yaml").write_text("post_hooks: []\n", encoding="utf-8")
    command = [
        sys.executable, "-m", "openapi_python_client", "generate", "--path", str(folder / "schema.json"), "--meta", "none",
        "--output-path", str(folder / PACKAGE), "--config", str(folder / "config.yaml"),
    ]  # fmt: skip
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=120)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    sys.path.insert(0, str(folder))
    try:
        yield document, ran.stdout + ran.stderr
    finally:
        sys.path.remove(str(folder))
        for name in [name for name in sys.modules if name.split(".")[0] == PACKAGE]:
            del sys.modules[name]


def module(name: str) -> Any:
    return importlib.import_module(f"{PACKAGE}.{name}")


def test_nothing_is_left_out(made: Any) -> None:
    document, said = made
    assert "WARNING" not in said, said
    assert "unable to" not in said.lower(), said
    for methods in document["paths"].values():
        for operation in methods.values():
            tag = operation["tags"][0].replace("-", "_")
            assert hasattr(module(f"api.{tag}.{operation['operationId']}"), "sync_detailed")


def client(gateway: GatewayServer) -> Any:
    found = module("client").AuthenticatedClient(base_url=gateway.url, token=gateway.rows.key, timeout=httpx.Timeout(20))
    return found.with_headers({})


def test_generate_analyze_explain_and_chat_answer_through_it(gateway: GatewayServer, made: Any) -> None:
    models = module("models")
    report = {"summary": "Fine.", "score": 90, "findings": []}
    gateway.simulator.control("script", steps=[{"text": "one"}, {"text": json.dumps(report)}, {"text": "two"}, {"text": "three"}])
    with client(gateway) as calling:
        generated = module("api.ai_models.generate").sync(client=calling, body=models.GenerateRequest(prompt="x", model="chat/m"))
        assert (generated.content, generated.model) == ("one", "m")
        wish = models.AnalyzeRequest(code="x = 1", model="chat/m")
        analyzed = module("api.ai_models.analyze").sync(client=calling, body=wish)
        assert analyzed.analysis.summary == "Fine."
        explained = module("api.ai_models.explain").sync(client=calling, body=models.GenerateRequest(prompt="x", model="chat/m"))
        assert (explained.would, explained.names) == ("try", ["chat/*"])
        asked = models.ChatCompletionRequest(model="chat/m", messages=[models.ChatMessage(role="user", content="hi")])
        completed = module("api.openai_compatible.chat_completions").sync(client=calling, body=asked)
        assert completed.choices[0].message.content == "two"
        message = models.MessagesRequest(model="claude/m", max_tokens=50, messages=[models.MessagesTurn(role="user", content="hi")])
        answered = module("api.anthropic_compatible.messages").sync(client=calling, body=message)
        assert answered.content[0]["text"] == "three"


def test_an_error_has_its_type(gateway: GatewayServer, made: Any) -> None:
    models = module("models")
    with client(gateway) as calling:
        wrong = module("api.ai_models.generate").sync(client=calling, body=models.GenerateRequest(prompt="x", model="no-such-model"))
        assert wrong.error.code == "model_not_found"
        asked = models.ChatCompletionRequest(model="no-such-model", messages=[])
        refused = module("api.openai_compatible.chat_completions").sync(client=calling, body=asked)
        assert isinstance(refused, models.CompatibleError)
