"""Twelve ways out of the place where code is run, and none of them leads anywhere."""

from __future__ import annotations

import io
import json
import os
import socket
import subprocess
import threading
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from llm_gateway.probes import sandbox
from llm_gateway.probes.sandbox import Ran, run
from tests.support.clock import Stopwatch

needs_bubblewrap = pytest.mark.skipif(not sandbox.works(), reason="bubblewrap, or the right to make user namespaces, is not there")
CODE = "def double(x):\n    return 2 * x\n"


@needs_bubblewrap
def test_right_code_passes_its_tests_and_wrong_code_does_not() -> None:
    assert run(CODE, "assert double(2) == 4") == Ran(passed=True)
    assert run(CODE, "assert double(2) == 5") == Ran(passed=False, reason="AssertionError")
    threads = "import threading\nt = threading.Thread(target=print)\nt.start()\nt.join()"
    assert run(threads, "") == Ran(passed=True)
    assert run("def double(x:\n", "assert double(2) == 4") == Ran(passed=False, reason="SyntaxError")


# Each tries something and tells the world whether it worked by ending without an exception.
ESCAPES = {
    "socket": "import socket\nsocket.create_connection(('127.0.0.1', {port}), 1)",
    "files": "open({secret!r}).read()",
    "environment": "import os\nassert os.environ.get('COGO_ESCAPES')",
    "fork": "import os\nfor _ in range(200):\n    if os.fork() == 0:\n        import time\n        time.sleep(30)",
    "memory": "x = bytearray(2 << 30)",
    "loop": "while True:\n    pass",
    "exit 0": "import os\nos._exit(0)",
    "forged output": (
        "import os\nfor d in range(3, 64):\n    try:\n        os.write(d, b'passed ' + b'0' * 32)\n"
        "    except OSError:\n        pass\nos._exit(0)"
    ),
    "/proc": "import os\nassert any(n.isdigit() and 'pytest' in open(f'/proc/{{n}}/cmdline').read() for n in os.listdir('/proc'))",
    "symlink": "import os\nos.symlink('/etc/passwd', '/tmp/x')\nopen('/tmp/x').read()",
    "setuid": "import os\nos.setuid(0)",
    "time": "import time\ntime.clock_settime(time.CLOCK_REALTIME, 0)",
}  # fmt: skip


@needs_bubblewrap
@pytest.mark.slow
@pytest.mark.parametrize("name", ESCAPES)
def test_no_escape_succeeds(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "WAIT_S", 3.0)
    monkeypatch.setenv("COGO_ESCAPES", "a secret")
    secret = tmp_path / "secret"
    secret.write_text("a secret")
    heard: list[bool] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(4)

        def accept() -> None:
            try:
                server.accept()
                heard.append(True)
            except OSError:
                return

        listening = threading.Thread(target=accept, daemon=True)
        listening.start()
        watch = Stopwatch()
        made = run(ESCAPES[name].format(port=server.getsockname()[1], secret=str(secret)), "")
        assert made.passed is False, made
        assert watch.took_s < 20
        assert heard == []
    children = subprocess.run(["pgrep", "-P", str(os.getpid()), "bwrap"], capture_output=True, text=True, check=False).stdout
    assert children == "", "nothing of it lives on"


def test_without_bubblewrap_nothing_is_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sandbox, "_bubblewrap", lambda: None)
    mark = tmp_path / "ran"
    assert run(f"open({str(mark)!r}, 'w')", "") == Ran(passed=None, reason="bubblewrap is not installed")
    assert not mark.exists()


def lines(tmp_path: Path, *texts: str) -> str:
    file = tmp_path / "set.jsonl"
    file.write_text("\n".join(texts))
    return str(file)


@needs_bubblewrap
def test_an_evaluation_set_is_scored_with_its_own_tests(tmp_path: Path) -> None:
    out = io.StringIO()
    right = {"id": "right", "code": CODE, "tests": "assert double(2) == 4"}
    wrong = {"id": "wrong", "code": CODE.replace("2 *", "3 *"), "tests": "assert double(2) == 4"}
    untested = {"content": f"Here.\n```python\n{CODE}```"}
    call_command("score_set", lines(tmp_path, *map(json.dumps, (right, wrong, untested))), "--run-tests", stdout=out)
    told = {one["id"]: one for one in map(json.loads, out.getvalue().splitlines())}
    values = {name: {one["name"]: one["value"] for one in line["scorers"]}["execution"] for name, line in told.items()}
    assert values == {"right": 1.0, "wrong": 0.0, "3": None}
    assert told["right"]["score"] == told["3"]["score"] == 100
    assert told["wrong"]["score"] < 70


@pytest.mark.parametrize("text", ["{", "[]", '{"code": "x", "content": "y"}', "{}", '{"code": "x", "colour": 1}', "\xff"])
def test_a_line_that_is_none_is_named(tmp_path: Path, text: str) -> None:
    with pytest.raises(CommandError, match="Line 1"):
        call_command("score_set", lines(tmp_path, text))
    with pytest.raises(CommandError, match="No such file"):
        call_command("score_set", str(tmp_path / "none"))


def test_tests_are_not_run_where_there_is_no_bubblewrap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "works", lambda: False)
    with pytest.raises(CommandError, match="Nothing is run"):
        call_command("score_set", lines(tmp_path, json.dumps({"code": CODE})), "--run-tests")
