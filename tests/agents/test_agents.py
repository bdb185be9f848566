"""Coding agents do a piece of work through the gateway: they call tools and edit a file. ``make test-agents``."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.gateway import GatewayServer

from .installing import Agent, install
from .prefixes import turns

pytestmark = [pytest.mark.agents, pytest.mark.timeout(900)]

TASK = "Change the greeting in greeting.txt from hello to goodbye, then say that it is done."
# Own wire, and a foreign one.
PROVIDERS = {"chat": "agent-model", "anthropic": "claude-haiku-4-5", "gemini": "gemini-3.8-flash"}


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    given = os.environ.get("COGO_AGENTS_DIR")
    return Path(given) if given else tmp_path_factory.mktemp("agents")


@pytest.fixture(params=PROVIDERS)
def model(gateway: GatewayServer, request: pytest.FixtureRequest) -> str:
    slug = request.param
    gateway.rows.model(slug, PROVIDERS[slug], max_output_tokens=64_000)
    gateway.simulator.control("reset")
    return gateway.alias(f"coder-{slug}", (slug, PROVIDERS[slug]))


def agent(name: str, folder: Path, tmp_path: Path, **env: str) -> Agent:
    home, work = tmp_path / "home", tmp_path / "work"
    home.mkdir()
    work.mkdir()
    (work / "greeting.txt").write_text("hello\n")
    return Agent(install(name, folder), home, work, env)


def script(gateway: GatewayServer, *steps: dict[str, Any], with_tools: bool = True) -> None:
    gateway.simulator.control("script", steps=list(steps), only_with_tools=with_tools)


def check(gateway: GatewayServer, made: Agent, ran: Any, mark: int) -> None:
    calls = [(entry["path"], entry["outcome"]) for entry in gateway.received(mark)]
    assert (made.work / "greeting.txt").read_text() == "goodbye\n", (ran.code, ran.output[-3000:], calls)
    assert ran.code == 0, ran.output[-2000:]
    assert "All done." in ran.output, ran.output[-2000:]
    kept = turns(gateway.received(mark))
    print(f"\nprefixes: {made.program.name} {sum(kept)} of {len(kept)} turns begin as the one before")  # noqa: T201  # a figure


def test_claude_code(gateway: GatewayServer, model: str, folder: Path, tmp_path: Path) -> None:
    made = agent("claude", folder, tmp_path, ANTHROPIC_BASE_URL=gateway.url, ANTHROPIC_AUTH_TOKEN=gateway.rows.key)
    file = str(made.work / "greeting.txt")
    script(
        gateway,
        {"tool": "Read", "arguments": {"file_path": file}, "text": "I will read it."},
        {"tool": "Edit", "arguments": {"file_path": file, "old_string": "hello", "new_string": "goodbye"}},
        {"text": "All done."},
    )
    mark = gateway.mark
    env = {"ANTHROPIC_MODEL": model, "ANTHROPIC_DEFAULT_HAIKU_MODEL": model, "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1"}
    ran = made.run("-p", TASK, "--permission-mode", "acceptEdits", **env)
    check(gateway, made, ran, mark)


def test_codex(gateway: GatewayServer, model: str, folder: Path, tmp_path: Path) -> None:
    made = agent("codex", folder, tmp_path, COGO_KEY=gateway.rows.key)
    settings = made.home / ".codex"
    settings.mkdir()
    (settings / "config.toml").write_text(
        f'model = "{model}"\nmodel_provider = "cogo"\n\n[model_providers.cogo]\nname = "COGO"\nbase_url = "{gateway.url}/v1"\n'
        'env_key = "COGO_KEY"\nwire_api = "responses"\n'
    )
    script(gateway, {"tool": "exec_command", "arguments": {"cmd": "sed -i s/hello/goodbye/ greeting.txt"}}, {"text": "All done."})
    mark = gateway.mark
    ran = made.run("exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", TASK)
    check(gateway, made, ran, mark)


def test_gemini_cli(gateway: GatewayServer, model: str, folder: Path, tmp_path: Path) -> None:
    made = agent("gemini", folder, tmp_path, GEMINI_API_KEY=gateway.rows.key, GOOGLE_GEMINI_BASE_URL=gateway.url)
    settings = made.home / ".gemini"
    settings.mkdir()
    (settings / "settings.json").write_text('{"security": {"auth": {"selectedType": "gemini-api-key"}}}')
    file = str(made.work / "greeting.txt")
    script(
        gateway,
        {"tool": "read_file", "arguments": {"file_path": file}},
        {
            "tool": "replace",
            "arguments": {"file_path": file, "old_string": "hello", "new_string": "goodbye", "instruction": "Say goodbye."},
        },
        {"text": "All done."},
    )
    mark = gateway.mark
    ran = made.run("-p", TASK, "--yolo", "-m", model, "--skip-trust")
    check(gateway, made, ran, mark)


def test_opencode(gateway: GatewayServer, model: str, folder: Path, tmp_path: Path) -> None:
    made = agent("opencode", folder, tmp_path, COGO_KEY=gateway.rows.key)
    options = {"baseURL": f"{gateway.url}/v1", "apiKey": "{env:COGO_KEY}"}
    provider = {"npm": "@ai-sdk/openai-compatible", "name": "COGO", "options": options, "models": {model: {}}}
    (made.work / "opencode.json").write_text(json.dumps({"provider": {"cogo": provider}, "permission": {"edit": "allow", "bash": "allow"}}))
    file = str(made.work / "greeting.txt")
    script(
        gateway,
        {"tool": "read", "arguments": {"filePath": file}},
        {"tool": "edit", "arguments": {"filePath": file, "oldString": "hello", "newString": "goodbye"}},
        {"text": "All done."},
    )
    mark = gateway.mark
    ran = made.run("run", "-m", f"cogo/{model}", TASK)
    check(gateway, made, ran, mark)


def stop_hub(made: Agent) -> None:
    """Cline leaves a process running for its next call; it writes down which one a moment after it started."""
    until = time.monotonic() + 10
    while time.monotonic() < until:
        for note in made.home.glob(".cline/data/locks/hub/*.json"):
            if note.is_file():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(json.loads(note.read_text())["pid"], signal.SIGTERM)
                return
        time.sleep(0.1)


def test_cline(gateway: GatewayServer, model: str, folder: Path, tmp_path: Path) -> None:
    made = agent("cline", folder, tmp_path)
    file = str(made.work / "greeting.txt")
    script(
        gateway,
        {"tool": "read_files", "arguments": {"files": [{"path": file}]}, "text": "I will read it."},
        {"tool": "editor", "arguments": {"path": file, "old_text": "hello", "new_text": "goodbye"}},
        {"text": "All done."},
    )
    try:
        told = made.run("auth", "-p", "openai", "-k", gateway.rows.key, "-m", model, "-b", f"{gateway.url}/v1")
        assert told.code == 0, told.output
        mark = gateway.mark
        ran = made.run("-P", "openai-compatible", "-m", model, TASK)
        check(gateway, made, ran, mark)
    finally:
        stop_hub(made)


def test_continue(gateway: GatewayServer, model: str, folder: Path, tmp_path: Path) -> None:
    made = agent("cn", folder, tmp_path, COGO_KEY=gateway.rows.key, CONTINUE_TELEMETRY_ENABLED="0")
    settings = made.home / "config.yaml"
    settings.write_text(
        f"name: cogo\nversion: 1.0.0\nschema: v1\nmodels:\n  - name: cogo\n    provider: openai\n    model: {model}\n"
        f"    apiBase: {gateway.url}/v1\n    apiKey: {gateway.rows.key}\n    roles: [chat, edit, apply]\n    capabilities: [tool_use]\n"
    )
    file = str(made.work / "greeting.txt")
    script(
        gateway,
        {"tool": "Read", "arguments": {"filepath": file}},
        {"tool": "Write", "arguments": {"filepath": file, "content": "goodbye\n"}},  # what edits depends on the model's name
        {"text": "All done."},
    )
    mark = gateway.mark
    ran = made.run("--config", str(settings), "--auto", "-p", TASK)
    check(gateway, made, ran, mark)


def test_qwen_code(gateway: GatewayServer, model: str, folder: Path, tmp_path: Path) -> None:
    made = agent("qwen", folder, tmp_path, OPENAI_BASE_URL=f"{gateway.url}/v1", OPENAI_API_KEY=gateway.rows.key)
    file = str(made.work / "greeting.txt")
    script(
        gateway,
        {"tool": "read_file", "arguments": {"file_path": file}},
        {"tool": "edit", "arguments": {"file_path": file, "old_string": "hello", "new_string": "goodbye"}},
        {"text": "All done."},
    )
    mark = gateway.mark
    ran = made.run(TASK, "--yolo", "--auth-type", "openai", "-m", model)
    check(gateway, made, ran, mark)


def test_pi(gateway: GatewayServer, model: str, folder: Path, tmp_path: Path) -> None:
    made = agent("pi", folder, tmp_path, COGO_KEY=gateway.rows.key, PI_OFFLINE="1")
    settings = made.home / ".pi/agent"
    settings.mkdir(parents=True)
    provider = {"baseUrl": f"{gateway.url}/v1", "api": "openai-completions", "apiKey": "COGO_KEY", "models": [{"id": model}]}
    (settings / "models.json").write_text(json.dumps({"providers": {"cogo": provider}}))
    file = str(made.work / "greeting.txt")
    script(
        gateway,
        {"tool": "read", "arguments": {"path": file}},
        {"tool": "edit", "arguments": {"path": file, "edits": [{"oldText": "hello", "newText": "goodbye"}]}},
        {"text": "All done."},
    )
    mark = gateway.mark
    ran = made.run("-p", "--provider", "cogo", "--model", model, TASK)
    check(gateway, made, ran, mark)


def test_aider(gateway: GatewayServer, model: str, folder: Path, tmp_path: Path) -> None:
    made = agent("aider", folder, tmp_path, OPENAI_API_BASE=f"{gateway.url}/v1", OPENAI_API_KEY=gateway.rows.key)
    script(gateway, {"text": "All done.\n\ngreeting.txt\n```\ngoodbye\n```\n"}, with_tools=False)
    mark = gateway.mark
    ran = made.run(
        "--model", f"openai/{model}", "--edit-format", "whole", "--yes-always", "--no-git", "--no-check-update", "--no-analytics",
        "--no-show-model-warnings", "--message", TASK, "greeting.txt",
    )  # fmt: skip
    check(gateway, made, ran, mark)
