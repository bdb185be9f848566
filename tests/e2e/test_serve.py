"""A stranger's first hour over real processes and sockets: start, call, take a provider down, stop, kill."""

from __future__ import annotations

import itertools
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time

import httpx
import pytest

from cogo import local_model
from tests.support.clock import Stopwatch

from .serving import Served, eventually, left

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(120),
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc to see what is left"),
]
PROMPT = {"prompt": "Write a Python function that adds two numbers."}


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """One gateway over the simulator for the tests that only call it."""
    with Served(tmp_path_factory.mktemp("demo"), "--simulate", "--no-local-model", empty=True) as gateway:
        eventually(lambda: keys_status(gateway) == "all_valid")
        yield gateway


def keys_status(gateway):
    return httpx.get(f"{gateway.url}/api/ai-models/keys/status", headers=gateway.headers).json()["overall_status"]


def ask(gateway, path="generate", **body):
    return httpx.post(f"{gateway.url}/api/ai-models/{path}", headers=gateway.headers, json=body or PROMPT, timeout=60)


def answers(gateway) -> bool:
    try:
        return ask(gateway).status_code == 200
    except httpx.HTTPError:
        return False


def stream(gateway, **body):
    """(seconds since the call, event, data) of every event of a streamed answer."""
    began = time.monotonic()
    with httpx.stream(
        "POST", f"{gateway.url}/api/ai-models/generate", headers=gateway.headers, json={**(body or PROMPT), "stream": True}, timeout=60
    ) as response:
        assert response.status_code == 200
        name = ""
        for line in response.iter_lines():
            if line.startswith("event:"):
                name = line.removeprefix("event:").strip()
            elif line.startswith("data:"):
                yield time.monotonic() - began, name, json.loads(line.removeprefix("data:"))


def test_the_first_start_shows_addresses_credentials_and_who_answers_once(tmp_path):
    with Served(tmp_path, "--simulate", "--no-local-model", empty=True) as first:
        assert f"Admin           {first.url}/admin/" in first.output
        assert "One-time password" in first.output
        key = first.key
    with Served(tmp_path, "--simulate", "--no-local-model") as second:
        assert "One-time password" not in second.output
        assert key not in second.output
        assert "manage.py create_client_key" in second.output
        assert second.ready_after_s < 15


def test_the_printed_curl_line_works_as_printed(demo):
    curl = next(line.strip() for line in demo.lines if line.strip().startswith(f"curl {demo.url}"))
    if not shutil.which("curl"):
        pytest.skip("curl is not installed")
    done = subprocess.run(shlex.split(curl), capture_output=True, text=True, check=True, timeout=60)
    answer = json.loads(done.stdout)
    assert answer["content"]
    assert answer["finish_reason"] == "stop"


def test_deltas_of_a_stream_arrive_one_by_one(demo):
    events = list(stream(demo))
    assert [name for name, _ in itertools.groupby(name for _, name, _ in events)] == ["start", "delta", "done"]
    times = [seconds for seconds, name, _ in events if name == "delta"]
    assert len(times) > 5
    assert times[-1] - times[0] > 0.05
    assert len({round(moment, 3) for moment in times}) > 5


def test_analyze_answers_with_findings(demo):
    answer = ask(demo, "analyze", code="def f(x):\n    return eval(x)\n", analysis_type="security").json()
    assert 0 <= answer["analysis"]["score"] <= 100
    assert isinstance(answer["analysis"]["findings"], list)


def test_pages_and_files_are_served(demo):
    with httpx.Client(base_url=demo.url, follow_redirects=True) as browser:
        page = browser.get("/admin/login/")
        assert page.status_code == 200
        paths = {part.split('"')[0] for part in page.text.split('href="')[1:] if part.startswith("/static/")}
        assert paths
        for path in paths:
            assert browser.get(path).status_code == 200, path
        assert browser.get("/api/docs/").status_code == 200
        assert browser.get("/static/nothing.css").status_code == 404


def test_a_provider_that_goes_down_is_followed_by_the_next_and_the_answer_says_so(demo):
    line = next(line for line in demo.lines if "/_sim/personality/fireworks" in line)
    switch = line.split("curl ")[1].split()[0]
    before = ask(demo).json()
    httpx.post(switch, json={"state": "down"}).raise_for_status()
    try:
        after = ask(demo).json()
    finally:
        httpx.post(switch, json={"state": "up"}).raise_for_status()
    assert before["provider"] == "fireworks"
    assert after["provider"] != "fireworks"
    assert after["attempts"][0]["provider"] == "fireworks"
    assert after["attempts"][0]["outcome"] != "ok"
    assert after["attempts"][-1]["outcome"] == "ok"


def test_sample_traffic_fills_the_request_log(tmp_path):
    with Served(tmp_path, "--simulate", "--no-local-model", "--sample-traffic") as gateway:

        def rows():
            answer = httpx.get(f"{gateway.url}/api/ai-models/performance/results", headers=gateway.headers)
            return answer.json()["results"]

        found = eventually(lambda: len(rows()) >= 2 and rows(), seconds=30)
        assert {row["state"] for row in found} <= {"ok", "open"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_signal_ends_every_process_within_ten_seconds(tmp_path, number):
    with Served(tmp_path, "--simulate", "--no-local-model", "--workers", "2") as gateway:
        family = eventually(lambda: len(found := gateway.processes()) >= 8 and found)
        assert len([line for line in family.values() if "cogo.web" in line]) == 2
        assert any("qcluster" in line for line in family.values())
        assert any("simulate" in line for line in family.values())
        assert gateway.stop(number) < 10
        assert gateway.process.returncode == 0
        assert left(tmp_path) == {}
        assert gateway.lines[-1] == "Stopping"


def test_a_running_stream_is_ended_with_an_error_event_when_the_gateway_stops(tmp_path):
    with Served(tmp_path, "--simulate", "--no-local-model", "--stop-within", "6") as gateway:
        line = next(line for line in gateway.lines if "/_sim/personality/fireworks" in line)
        httpx.post(line.split("curl ")[1].split()[0].replace("fireworks", "all"), json={"chunk_ms": 400}).raise_for_status()
        events = []
        watch = None
        for _, name, data in stream(gateway, prompt="A long program.", max_tokens=4000):
            events.append((name, data))
            if name == "delta" and watch is None:
                watch = Stopwatch()
                gateway.process.send_signal(signal.SIGINT)
        assert events[-1][0] == "error"
        assert events[-1][1]["error"]["code"] == "server_shutting_down"
        gateway.process.wait(10)
        assert watch.took_s < 10
        assert left(tmp_path) == {}


def test_killing_the_parent_leaves_no_process(tmp_path):
    with Served(tmp_path, "--simulate", "--no-local-model") as gateway:
        eventually(lambda: len(left(tmp_path)) >= 8)  # itself, simulator, web, and background work with its forked workers
        gateway.process.kill()
        gateway.process.wait()
        eventually(lambda: not left(tmp_path), seconds=5)


def test_a_web_worker_that_dies_is_started_again(tmp_path):
    with Served(tmp_path, "--simulate", "--no-local-model") as gateway:
        os.kill(gateway.pid_of("cogo.web"), signal.SIGKILL)
        eventually(lambda: any("web ended unexpectedly" in line for line in gateway.lines))
        assert ask(gateway).status_code == 200


def test_whichever_worker_is_asked_tells_the_figures_of_all(tmp_path):
    with Served(tmp_path, "--simulate", "--no-local-model", "--workers", "2") as gateway:
        eventually(lambda: keys_status(gateway) == "all_valid")
        asked = 12
        assert [ask(gateway).status_code for _ in range(asked)] == [200] * asked
        told = [metrics(gateway) for _ in range(8)]
        answered = [sum(figures(page, "cogo_requests_total{", 'kind="generate"')) for page in told]
        assert answered == [asked] * len(told)
        os.kill(gateway.pid_of("cogo.web"), signal.SIGKILL)
        eventually(lambda: any("ended unexpectedly" in line for line in gateway.lines))
        eventually(lambda: len([line for line in gateway.processes().values() if "cogo.web" in line]) == 2)
        page = metrics(gateway)
        assert sum(figures(page, "cogo_requests_total{", 'kind="generate"')) == asked
        assert figures(page, "cogo_requests_in_flight ") == [0.0]


def metrics(gateway):
    assert httpx.get(f"{gateway.url}/metrics").status_code == 401, "not even this machine without the token"
    token = next(gateway.folder.rglob("secrets/cogo_metrics_token")).read_text().strip()
    return httpx.get(f"{gateway.url}/metrics", headers={"authorization": f"Bearer {token}"}).text


def figures(page, *words):
    return [float(line.rpartition(" ")[2]) for line in page.splitlines() if line.startswith(words[0]) and all(w in line for w in words)]


def test_a_web_worker_that_cannot_start_again_is_tried_until_its_reason_is_gone(tmp_path):
    with Served(tmp_path, "--simulate", "--no-local-model") as gateway:
        pepper = tmp_path / "var" / "secrets" / "cogo_key_pepper"
        kept = pepper.read_text()
        pepper.unlink()
        os.kill(gateway.pid_of("cogo.web"), signal.SIGKILL)
        os.kill(gateway.pid_of("run_batches"), signal.SIGKILL)
        said = "web ended unexpectedly (cogo: COGO_KEY_PEPPER is not set"
        eventually(lambda: gateway.output.count(said) >= 2, seconds=80, shown=lambda: gateway.output)
        assert gateway.process.poll() is None
        assert not pepper.exists(), "another one would open no client key"
        pepper.write_text(kept)
        eventually(lambda: answers(gateway), seconds=40)
    assert left(tmp_path) == {}


@pytest.mark.skipif(not local_model.available(), reason="the embedded model is not installed (make run installs it)")
def test_without_a_provider_key_a_real_model_on_this_machine_answers_and_is_counted(tmp_path):
    with Served(tmp_path) as gateway:
        assert any("SmolLM2" in line for line in gateway.lines)
        answer = ask(gateway).json()
        assert answer["provider"] == "local"
        assert answer["content"]
        assert answer["usage"]["source"] == "reported"
        assert answer["usage"]["output_tokens"] > 0
        assert float(answer["cost"]["amount"]) == 0
        times = [seconds for seconds, name, _ in stream(gateway) if name == "delta"]
        assert len(times) > 5
        assert times[-1] - times[0] > 0.05
        family = gateway.processes()
        assert any("cogo.local_model" in line for line in family.values())
        assert gateway.stop() < 10
        assert left(tmp_path) == {}
