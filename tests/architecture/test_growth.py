"""Growth is a new file: a provider, a strategy, a report and a wire are added to a copy of the tree, each as one file (a wire as one
package), and work in the console, the API and commands without another file being touched."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

PROVIDER = """
from collections.abc import Mapping

from llm_gateway.core.keys import KeyVerdict
from llm_gateway.core.secret import Secret
from llm_gateway.wires import ModelFacts

from . import services
from ._base import Probe, ServiceFacts, bearer, join_url, json_headers


class Grown:
    facts = ServiceFacts(
        name="grown", title="Grown AI", wire="openai_chat", base_url="https://grown.example/v1", key_env=("GROWN_API_KEY",),
        model_env=("GROWN_MODEL",), priority=70,
    )

    def headers(self, wire: str, key: Secret, passed: Mapping[str, str]) -> dict[str, str]:
        return json_headers(passed, self.facts.pass_headers, authorization=bearer(key))

    def model_facts(self, wire: str, upstream_id: str) -> ModelFacts:
        return ModelFacts(upstream_id=upstream_id)

    def adapt(self, wire: str, body: bytes) -> bytes:
        return body

    def probes(self, base_url: str, wire: str) -> tuple[Probe, ...]:
        return (Probe(name="models", url=join_url(base_url, "/models")),)

    def judge(self, probe: Probe, status: int, headers: Mapping[str, str], body: bytes) -> KeyVerdict | None:
        return None


services.add(Grown.facts.name, Grown())
"""
CATALOGUE = """
[defaults]
capabilities = ["tools"]

[[model]]
name = "grown-1"
title = "Grown 1"
position = 10
auto = true
"""
STRATEGY = """
from collections.abc import Mapping, Sequence
from typing import Any

from . import strategies
from ._base import Candidate, Ranking, RequestFacts
from ._schema import Number, read


class Alphabetical:
    name = "alphabetical"
    title = "By name"
    summary = "The first name in the alphabet answers."
    schema = (Number("skipped_letters", 0, 0, 25, "So many letters are passed over.", "letters", whole=True),)

    def validate(self, settings: Mapping[str, Any]) -> Mapping[str, Any]:
        return read(self.schema, settings, self.name)

    def order(self, candidates: Sequence[Candidate], facts: RequestFacts, settings: Mapping[str, Any], draw: float) -> Ranking:
        order = sorted(range(len(candidates)), key=lambda i: candidates[i].target.model.name)
        return Ranking(order=tuple(order))


strategies.add(Alphabetical.name, Alphabetical())
"""
REPORT = """
from collections.abc import Sequence

from . import reports
from ._base import Asked, Column, Sheet


class Grown:
    name = "grown"
    title = "Grown report"
    summary = "One row."
    icon = "eco"
    position = 90
    groups: tuple[str, ...] = ()
    default_groups: tuple[str, ...] = ()
    dated = True
    option_title = ""

    def options(self) -> Sequence[tuple[str, str]]:
        return ()

    def build(self, asked: Asked) -> Sheet:
        return Sheet(columns=(Column("a", "Answer"),), rows=[("forty-two",)])


reports.add(Grown.name, Grown())
"""
WIRE = """
from llm_gateway.core import json
from llm_gateway.core.chat import ChatResponse, Choice, FinishReason, Text
from llm_gateway.core.errors import Failure, FailureClass
from llm_gateway.core.usage import Usage
from llm_gateway.wires import Format, formats
from llm_gateway.wires._limits import Limits


class Lines:
    name = "plain_lines"
    one_call = True
    end_mark = b""

    def path(self, kind, facts, stream):
        return "/say"

    def encode_request(self, chat, facts):
        return {"who": facts.upstream_id, "lines": chat.messages[-1].text.splitlines()}

    def edit_request(self, body, edits):
        return body

    def decode_response(self, body):
        said = json.loads(body)
        choice = Choice(parts=(Text(text=said["says"]),), finish=FinishReason.STOP)
        return ChatResponse(choices=(choice,), usage=Usage(input_tokens=said["read"], output_tokens=said["wrote"]))

    def stream_decoder(self):
        raise NotImplementedError

    def decode_error(self, status, headers, body):
        return Failure(kind=FailureClass.SERVER_ERROR, status=status)


limits = Limits(wire="plain_lines", source="this test", noted_on="2026-12-01", name_chars=64)
formats.add("plain_lines", Format(name="plain_lines", wire=Lines(), limits=limits))
"""
LOOK = """
import asyncio
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import django

django.setup()
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.test import AsyncClient, Client
from django.test.utils import setup_test_environment

setup_test_environment()  # answers keep their contexts
call_command("migrate", verbosity=0)
from llm_gateway.actions.bootstrap import bootstrap
from llm_gateway.models import LanguageModel, Provider, ProviderKey, Strategy

bootstrap()
bootstrap()
call_command("set_strategy", "alphabetical", verbosity=0)
admin = Client(headers={"host": "localhost"})
operator = get_user_model().objects.filter(is_superuser=True).get()
operator.set_password("one of their own 7")  # the first is good for nothing else
operator.save()
admin.force_login(operator)
home = admin.get("/admin/").content.decode()
page = admin.get("/admin/reports/grown/")
sheet = b"".join(admin.get("/admin/reports/grown/?format=csv"))
listed = admin.get("/admin/llm_gateway/strategy/").content.decode()
setting_form = f"/admin/llm_gateway/strategy/{Strategy.objects.get(name='alphabetical').pk}/change/"
drawn = admin.get(setting_form).content.decode()
typed = {"title": "By name", "s-skipped_letters": "26"}
refused = admin.post(setting_form, typed).context["adminform"].form.errors
admin.post(setting_form, {**typed, "s-skipped_letters": "3"})


class Host(BaseHTTPRequestHandler):
    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        body = json.dumps({"says": f"{asked['who']} read {len(asked['lines'])} lines", "read": 7, "wrote": 5}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


host = HTTPServer(("127.0.0.1", 0), Host)
threading.Thread(target=host.serve_forever, daemon=True).start()
address = f"http://127.0.0.1:{host.server_port}"
call_command(
    "add_provider", "liner", wire="plain_lines", base_url=address, model=[["scribe"]], allow_private=True, no_check=True, verbosity=0
)
form = admin.get("/admin/llm_gateway/provider/connect/?preset=own").content.decode()


async def ask():
    from llm_gateway.wiring import shutdown, startup

    await startup()
    try:
        caller = AsyncClient()
        await caller.aforce_login(operator)
        body = {"prompt": "one\\ntwo", "model": "liner/scribe"}
        return json.loads((await caller.post("/api/ai-models/generate", body, content_type="application/json")).content)
    finally:
        await shutdown()


answer = asyncio.run(ask())
print(json.dumps({
    "provider": Provider.objects.filter(slug="grown").values_list("title", "priority").first(),
    "key from the environment": ProviderKey.objects.filter(provider__slug="grown").values_list("from_environment", flat=True).first(),
    "model preferred": LanguageModel.objects.filter(provider__slug="grown", auto=True).values_list("name", flat=True).first(),
    "strategy active": Strategy.objects.get(active=True).name,
    "strategy in the console": "alphabetical" in listed,
    "its setting in a form": "Skipped (letters)" in drawn and "So many letters are passed over. 0 to 25" in drawn,
    "refused at the field": list(refused),
    "its setting": Strategy.objects.get(name="alphabetical").settings,
    "report in the menu": "Grown report" in home,
    "report page": page.status_code,
    "report as CSV": "forty-two" in sheet.decode(errors="replace"),
    "wire in the console": "plain lines" in form,
    "wire in the API": answer,
}))
"""


@pytest.mark.slow
def test_a_provider_a_strategy_a_report_and_a_wire_are_one_file_each(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    for name in ("cogo", "llm_gateway", "analytics", "templates"):
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("manage.py", "pyproject.toml"):
        shutil.copy(ROOT / name, tree / name)
    before = {path for path in tree.rglob("*") if path.is_file()}
    (tree / "llm_gateway/providers/grown.py").write_text(PROVIDER)
    (tree / "llm_gateway/catalogue_data/grown.toml").write_text(CATALOGUE)
    (tree / "llm_gateway/strategies/alphabetical.py").write_text(STRATEGY)
    (tree / "analytics/reports/grown.py").write_text(REPORT)
    (tree / "llm_gateway/wires/plain_lines").mkdir()
    (tree / "llm_gateway/wires/plain_lines/__init__.py").write_text(WIRE)
    assert len({path for path in tree.rglob("*") if path.is_file()} - before) == 5
    var = tmp_path / "var"
    env = {name: value for name, value in os.environ.items() if not name.startswith(("COGO_", "DJANGO_", "DATABASE_", "REDIS_"))}
    env |= {
        "COGO_VAR_DIR": str(var), "COGO_ENV_FILE": str(var / "none"), "DJANGO_SETTINGS_MODULE": "cogo.settings",
        "GROWN_API_KEY": "stand-in-for-a-key", "ALLOWED_HOSTS": "localhost,testserver", "GROWN_MODEL": "grown-1", "PYTHONPATH": str(tree),
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", f"from pathlib import Path; import cogo.local_secrets as s; s.make_missing(Path({str(var)!r})){LOOK}"],
        cwd=tree, env=env, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    shown = json.loads(done.stdout.splitlines()[-1])
    answer = shown.pop("wire in the API")
    assert (answer["content"], answer["model"]) == ("scribe read 2 lines", "scribe"), answer
    assert (answer["usage"]["input_tokens"], answer["usage"]["output_tokens"]) == (7, 5)
    assert shown == {
        "provider": ["Grown AI", 70],
        "key from the environment": "GROWN_API_KEY",
        "model preferred": "grown-1",
        "strategy active": "alphabetical",
        "strategy in the console": True,
        "its setting in a form": True,
        "refused at the field": ["s-skipped_letters"],
        "its setting": {"skipped_letters": 3},
        "report in the menu": True,
        "report page": 200,
        "report as CSV": True,
        "wire in the console": True,
    }
