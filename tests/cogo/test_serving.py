"""The parts of ``serve`` that need no process: its plan, what it prints, the files it collects, the demonstration's traffic."""

from __future__ import annotations

import json
import shlex
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from cogo import static, welcome
from cogo.preflight import CannotStart, listen
from cogo.sample_traffic import SampleTraffic, client_key
from cogo.serving import Plan, _background, _web
from llm_gateway.models import ClientKey


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"workers": 0}, "--workers"),
        ({"port": 70000}, "--port"),
        ({"stop_within_s": 2}, "--stop-within"),
        ({"sample_traffic": True}, "never calls a real provider"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused_in_one_line(wrong, said):
    with pytest.raises(CannotStart, match=said):
        Plan(**{"host": "127.0.0.1", "port": 8000, **wrong})


@pytest.mark.parametrize(("within", "drain"), [(4, 0), (9, 5), (32, 25), (120, 25)])
def test_running_answers_get_what_is_left_of_the_time_to_stop_and_never_more_than_configured(within, drain):
    assert Plan(host="127.0.0.1", port=8000, stop_within_s=within).drain_s == drain


@pytest.mark.parametrize(
    ("host", "url"),
    [("0.0.0.0", "http://127.0.0.1:8000"), ("::", "http://[::1]:8000"), ("gateway.internal", "http://gateway.internal:8000")],
)
def test_the_address_shown_is_one_a_browser_can_open(host, url):
    assert Plan(host=host, port=8000).url == url


def test_the_curl_line_is_one_shell_line_with_the_key_in_it():
    words = shlex.split(welcome.curl("http://127.0.0.1:8000", "cogo_key"))
    assert words[:2] == ["curl", "http://127.0.0.1:8000/api/ai-models/generate"]
    assert "Authorization: Bearer cogo_key" in words
    assert json.loads(words[-1]) == {"prompt": welcome.PROMPT}


def test_what_existed_before_is_not_shown_again():
    text = welcome.text("http://127.0.0.1:8000", welcome.Secrets("operator"), "A model answers.")
    assert "Shown this once" not in text
    assert "$COGO_KEY" in text
    assert "create_client_key" in text
    assert welcome.once(welcome.Secrets("operator")) == ""
    assert "pass-word" in welcome.once(welcome.Secrets("operator", "pass-word"))


@pytest.mark.parametrize("host", ["no.such.host.invalid", "a" * 300 + ".invalid", "..invalid"])
def test_an_address_that_is_none_is_said_in_one_line(host: str) -> None:
    with pytest.raises(CannotStart, match=r"the address .* is unknown; use --host 127\.0\.0\.1"):
        listen(host, 18499)


def test_a_listening_socket_is_shared_with_children_and_its_port_is_taken():
    with listen("127.0.0.1", 0) as first:
        assert first.get_inheritable()
        with pytest.raises(CannotStart, match="is in use"):
            listen("127.0.0.1", first.getsockname()[1])


def test_files_are_collected_once_and_again_when_a_version_changes(settings, tmp_path, monkeypatch):
    settings.STATIC_ROOT = tmp_path / "static"
    said: list[str] = []
    static.collect(said.append)
    static.collect(said.append)
    assert len(said) == 1
    assert (tmp_path / "static" / "admin").is_dir()
    monkeypatch.setattr(static, "_version", lambda package: "another")
    static.collect(said.append)
    assert len(said) == 2


@pytest.mark.django_db
def test_the_demonstration_s_key_is_the_same_at_every_start(tmp_path):
    (tmp_path / "secrets").mkdir()
    first, second = client_key(tmp_path), client_key(tmp_path)
    assert first == second
    assert ClientKey.objects.filter(name="sample traffic").count() == 1
    assert (tmp_path / "secrets" / "sample_client_key").stat().st_mode & 0o777 == 0o600


def test_sample_traffic_sends_one_request_at_a_time_and_ends_with_its_block():
    seen: list[tuple[str, str | None]] = []
    enough = threading.Event()

    class Gateway(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            seen.append((self.path, self.headers["Authorization"]))
            if len(seen) == 5:
                enough.set()
            self.send_response(503)
            self.end_headers()

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Gateway) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with SampleTraffic("127.0.0.1", server.server_port, "a-key", pause_s=(0.0, 0.01)) as traffic:
            assert enough.wait(10)
        traffic._thread.join(5)
        assert not traffic._thread.is_alive()
        server.shutdown()
    assert seen[0][0] == "/api/ai-models/batches"
    assert {path for path, _ in seen[1:]} == {"/api/ai-models/generate", "/api/ai-models/analyze"}
    assert {key for _, key in seen} == {"Bearer a-key"}


@pytest.mark.parametrize("text", ["sleepy", "nobody=down", "=down=", "fireworks="])
def test_simulate_refuses_a_personality_that_does_not_exist(text):
    with pytest.raises(CommandError, match="--personality"):
        call_command("simulate", "--port", "1", "--personality", text)


def test_simulate_says_that_its_port_is_taken():
    with listen("127.0.0.1", 0) as taken, pytest.raises(CommandError, match="choose another --port"):
        call_command("simulate", "--port", str(taken.getsockname()[1]))


def test_the_supervisor_and_its_helpers_are_documented_where_a_stranger_looks():
    guide = (Path(__file__).resolve().parents[2] / "docs" / "troubleshooting.md").read_text()
    for phrase in ("is in use", "ended 4 times in a row", "the provider simulator answers instead"):
        assert phrase in guide


def test_each_worker_knows_how_many_share_its_limits():
    with listen("127.0.0.1", 0) as listening:
        program = _web(Plan("127.0.0.1", 8000, workers=3), listening, 2)
    assert program.environment["COGO_WORKERS"] == "3"


def test_a_task_cluster_that_does_nothing_is_given_up_in_the_time_the_audit_waits() -> None:
    from llm_gateway.actions.watch import SILENT

    assert _background().silent_for_s == SILENT.total_seconds()
