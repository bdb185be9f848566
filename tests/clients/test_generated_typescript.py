"""TypeScript that is made of the gateway's own OpenAPI document compiles strictly, as a caller would write it, and calls the gateway."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.gateway import GatewayServer

pytestmark = [pytest.mark.slow, pytest.mark.weekly, pytest.mark.timeout(300)]

PACKAGES = ("openapi-typescript@7.13.0", "openapi-fetch@0.17.0", "typescript@5.9.3")
STRICT = "--strict --noUncheckedIndexedAccess --exactOptionalPropertyTypes --target es2022 --module nodenext --lib es2022,dom"
CALLER = """
import createClient from "openapi-fetch";
import type { components, paths } from "./schema.d.ts";

declare const process: { argv: string[] };
const [, , url, key] = process.argv as [string, string, string, string];
const gateway = createClient<paths, "application/json">({ baseUrl: url, headers: { Authorization: `Bearer ${key}` } });
const tool: NonNullable<components["schemas"]["ChatCompletionRequest"]["tools"]>[number] = {
  type: "function", function: { name: "f", parameters: { type: "object", properties: {} } },
};

async function main(): Promise<void> {
  const generated = await gateway.POST("/api/ai-models/generate", { body: { prompt: "x", model: "chat/m", metadata: { team: 1 } } });
  const content: string | undefined = generated.data?.content;
  const analyzed = await gateway.POST("/api/ai-models/analyze", { body: { code: "x = 1", model: "chat/m" } });
  const summary: string | undefined = analyzed.data?.analysis?.summary;
  const explained = await gateway.POST("/api/ai-models/explain", { body: { prompt: "x", model: "chat/m" } });
  const chat = await gateway.POST("/v1/chat/completions", {
    body: { model: "chat/m", messages: [{ role: "user", content: "hi" }], tools: [tool] },
  });
  const said: string | null | undefined = chat.data?.choices[0]?.message.content;
  const message = await gateway.POST("/v1/messages", {
    body: { model: "claude/m", max_tokens: 50, messages: [{ role: "user", content: [{ type: "text", text: "hi" }] }] },
  });
  const refused = await gateway.POST("/api/ai-models/generate", { body: { prompt: "x", model: "no-such-model" } });
  console.log(JSON.stringify({
    content, summary, would: explained.data?.would, said, told: message.data?.content[0]?.["text"], code: refused.error?.error.code,
  }));
}
void main();
"""


@pytest.fixture(scope="module")
def made(gateway_server: GatewayServer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the types and the caller that uses them."""
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed")
    folder = tmp_path_factory.mktemp("typescript")
    document = gateway_server.http.get("/api/schema/", headers={"accept": "application/vnd.oai.openapi+json"}).text
    (folder / "schema.json").write_text(document, encoding="utf-8")
    (folder / "package.json").write_text('{"type": "module"}', encoding="utf-8")
    (folder / "caller.ts").write_text(CALLER, encoding="utf-8")
    run(folder, "npm", "install", "--no-audit", "--no-fund", "--loglevel=error", *PACKAGES)
    said = run(folder, "node_modules/.bin/openapi-typescript", "schema.json", "-o", "schema.d.ts")
    assert "warning" not in said.lower()
    return folder


def run(folder: Path, *command: str) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=200)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_caller_compiles_strictly_and_every_call_is_answered(gateway: GatewayServer, made: Path) -> None:
    report = {"summary": "Fine.", "score": 90, "findings": []}
    gateway.simulator.control("script", steps=[{"text": "one"}, {"text": json.dumps(report)}, {"text": "two"}, {"text": "three"}])
    run(made, "node_modules/.bin/tsc", *STRICT.split(), "--skipLibCheck", "caller.ts")
    told = json.loads(run(made, "node", "caller.js", gateway.url, gateway.rows.key))
    assert told == {"content": "one", "summary": "Fine.", "would": "try", "said": "two", "told": "three", "code": "model_not_found"}


def test_no_object_is_an_empty_one(made: Path) -> None:
    types = (made / "schema.d.ts").read_text(encoding="utf-8")
    assert types.count("Record<string, never>") == types.count("export type webhooks") + types.count("export type $defs")
