"""The supervisor over real processes: small scripts that write who they are into a folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from cogo.supervisor import Program, Supervisor
from llm_gateway.telemetry import processes
from tests.support.clock import Stopwatch

STAYS = """
import os, pathlib, sys, time
pathlib.Path(sys.argv[1]).write_text(str(os.getpid()))
time.sleep(60)
"""
FORKS = """
import os, pathlib, sys, time
folder = pathlib.Path(sys.argv[1])
if os.fork() == 0:
    if os.fork() == 0:
        (folder / "grandchild").write_text(str(os.getpid()))
        time.sleep(60)
    (folder / "child").write_text(str(os.getpid()))
    time.sleep(60)
(folder / "main").write_text(str(os.getpid()))
time.sleep(60)
"""
NOTES_ITS_END = """
import pathlib, signal, sys, time
file, name, seconds = pathlib.Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
def end(*_):
    time.sleep(seconds)
    with file.open("a") as out:
        out.write(name + "\\n")
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
(file.parent / (name + ".up")).touch()
time.sleep(60)
"""
STUBBORN = """
import pathlib, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
pathlib.Path(sys.argv[1]).write_text("up")
time.sleep(60)
"""


@pytest.fixture
def said():
    return []


def script(folder: Path, name: str, text: str) -> str:
    file = folder / f"{name}.py"
    file.write_text(textwrap.dedent(text))
    return str(file)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text() if Path(f"/proc/{pid}").exists() else True


def until(condition, seconds: float = 10.0, supervisor: Supervisor | None = None) -> None:
    watch = Stopwatch()
    while not condition():
        assert watch.took_s < seconds, "it did not happen in time"
        if supervisor is None:
            time.sleep(0.02)
        else:
            supervisor.tick(0.05)


def test_a_child_that_dies_is_started_again_and_one_line_says_so(tmp_path, said):
    pid_file = tmp_path / "pid"
    with Supervisor(said.append, first_pause_s=0.05) as supervisor:
        supervisor.start(Program("helper", (script(tmp_path, "stays", STAYS), str(pid_file))))
        until(pid_file.exists, supervisor=supervisor)
        until(lambda: pid_file.read_text() != "", supervisor=supervisor)
        first = int(pid_file.read_text())
        os.kill(first, signal.SIGKILL)
        until(lambda: pid_file.read_text() not in ("", str(first)), supervisor=supervisor)
        second = int(pid_file.read_text())
    assert not alive(second)
    assert len(said) == 1
    assert said[0].startswith("helper ended unexpectedly")


def test_pauses_between_restarts_grow_and_an_essential_program_that_keeps_ending_ends_the_run_with_its_last_words(tmp_path, said, capfd):
    dies = script(tmp_path, "dies", "raise SystemExit('cogo: there is no such database')")
    with Supervisor(said.append, first_pause_s=0.05, give_up_after=4) as supervisor:
        supervisor.start(Program("web", (dies,), essential=True))
        assert supervisor.run() == 1
    assert [line.rpartition("in ")[2] for line in said] == ["0.05 s", "0.1 s", "0.2 s"]
    assert supervisor.gave_up == "web ended 4 times in a row; the last time it said: cogo: there is no such database"
    assert "there is no such database" in capfd.readouterr().err


def test_stages_stop_in_order_and_the_later_one_only_after_the_earlier_has_ended(tmp_path, said):
    order = tmp_path / "order"
    file = script(tmp_path, "notes", NOTES_ITS_END)
    with Supervisor(said.append) as supervisor:
        for name, seconds, stage in (("model", "0", 1), ("web", "0.4", 0), ("cluster", "0.1", 0)):
            supervisor.start(Program(name, (file, str(order), name, seconds), stage=stage))
        until(lambda: len(list(tmp_path.glob("*.up"))) == 3, supervisor=supervisor)
    assert order.read_text().split() == ["cluster", "web", "model"]


def test_a_child_that_ignores_the_signal_is_killed_in_time(tmp_path, said):
    up = tmp_path / "up"
    with Supervisor(said.append, stop_within_s=0.6) as supervisor:
        child = supervisor.start(Program("stubborn", (script(tmp_path, "stubborn", STUBBORN), str(up))))
        until(up.exists, supervisor=supervisor)
        pid = child.process.pid
        watch = Stopwatch()
    assert watch.took_s < 3
    assert not alive(pid)


def test_a_stop_signal_ends_the_run_with_exit_code_0(tmp_path, said):
    with Supervisor(said.append) as supervisor:
        supervisor.start(Program("helper", (script(tmp_path, "stays", STAYS), str(tmp_path / "pid"))))
        until((tmp_path / "pid").exists, supervisor=supervisor)
        os.kill(os.getpid(), signal.SIGTERM)
        assert supervisor.run() == 0
    assert said == []


def test_what_children_write_is_passed_on_and_a_quiet_one_keeps_it_for_its_reason(tmp_path, said, capfd):
    talks = script(tmp_path, "talks", "import sys\nprint('a line')\nsys.stderr.write('cut off')")
    with Supervisor(said.append, first_pause_s=60) as supervisor:
        supervisor.start(Program("loud", (talks,)))
        quiet = supervisor.start(Program("quiet", (talks,), quiet=True))
        until(lambda: len(said) == 2, supervisor=supervisor)
        assert quiet.reason() == "cut off"
    assert capfd.readouterr().err.splitlines() == ["a line", "cut off"]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ties a child to its parent")
def test_killing_the_supervisor_leaves_no_process_not_even_forked_ones(tmp_path):
    forks = script(tmp_path, "forks", FORKS)
    driver = script(
        tmp_path,
        "driver",
        f"""
        from cogo.supervisor import Program, Supervisor
        with Supervisor(print) as supervisor:
            supervisor.start(Program("forks", ({forks!r}, {str(tmp_path)!r})))
            supervisor.run()
        """,
    )
    root = Path(__file__).resolve().parents[2]
    parent = subprocess.Popen([sys.executable, driver], cwd=root, env={**os.environ, "PYTHONPATH": str(root)})
    names = ("main", "child", "grandchild")
    until(lambda: all((tmp_path / name).exists() and (tmp_path / name).read_text() for name in names))
    pids = [int((tmp_path / name).read_text()) for name in names]
    assert all(alive(pid) for pid in pids)
    parent.kill()
    parent.wait()
    until(lambda: not any(alive(pid) for pid in pids), seconds=5)


def test_once_the_gateway_was_ready_no_child_that_keeps_ending_ends_the_others(tmp_path, said):
    dies = script(tmp_path, "dies", "raise SystemExit('no')")
    stays = script(tmp_path, "stays", STAYS)
    with Supervisor(said.append, first_pause_s=0.02, give_up_after=2) as supervisor:
        healthy = supervisor.start(Program("web 1", (stays, str(tmp_path / "pid")), essential=True))
        until((tmp_path / "pid").exists, supervisor=supervisor)
        supervisor.has_been_ready = True
        pid = healthy.pid
        failing = [supervisor.start(Program(name, (dies,), essential=name == "web 2")) for name in ("web 2", "background work")]
        until(lambda: all(child.failures >= 4 for child in failing), seconds=30, supervisor=supervisor)
        assert supervisor.gave_up is None
        assert (healthy.pid, healthy.restarts) == (pid, 0)
        assert alive(pid)
        assert all(child.start_again_at is not None or child.running for child in failing)


def test_a_start_is_not_given_up_while_one_essential_program_stays(tmp_path, said):
    dies = script(tmp_path, "dies", "raise SystemExit('no')")
    with Supervisor(said.append, first_pause_s=0.02, give_up_after=2) as supervisor:
        supervisor.start(Program("web 1", (script(tmp_path, "stays", STAYS), str(tmp_path / "pid")), essential=True))
        failing = supervisor.start(Program("web 2", (dies,), essential=True))
        until(lambda: failing.failures >= 3, seconds=30, supervisor=supervisor)
        assert supervisor.gave_up is None


def test_a_child_that_cannot_be_started_again_is_tried_later(tmp_path, said):
    stays = script(tmp_path, "stays", STAYS)
    with Supervisor(said.append, first_pause_s=0.02) as supervisor:
        child = supervisor.start(Program("helper", (stays, str(tmp_path / "pid"))))
        supervisor.has_been_ready = True
        start, failed = child.start, []

        def no_room(now: float) -> None:
            failed.append(now)
            if len(failed) < 3:
                raise OSError(11, "Resource temporarily unavailable")
            start(now)

        child.start = no_room
        os.kill(child.pid, signal.SIGKILL)
        until(lambda: child.running and len(failed) == 3, supervisor=supervisor)
    assert any("could not be started" in line for line in said)


def board(folder: Path) -> dict[str, tuple[str, int]]:
    found = processes.read(folder)
    return {process.name: (process.state, process.restarts) for process in found.processes} if found else {}


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says that a process is stopped")
def test_a_stopped_child_is_told_and_then_ended_and_started_again_while_the_others_go_on(tmp_path, said):
    run = tmp_path / "run"
    run.mkdir()
    stays = script(tmp_path, "stays", STAYS)
    with Supervisor(said.append, first_pause_s=0.02, run_folder=run, hangs_after_s=0.2, ended_after_s=1.5) as supervisor:
        stuck, other = (supervisor.start(Program(name, (stays, str(tmp_path / name)))) for name in ("stuck", "other"))
        until(lambda: board(run) == {"stuck": ("up", 0), "other": ("up", 0)}, supervisor=supervisor)
        first, stays_pid = stuck.pid, other.pid
        os.kill(first, signal.SIGSTOP)
        until(lambda: board(run).get("stuck") == ("hanging", 0), supervisor=supervisor)
        assert processes.read(run).troubles == ("stuck does not answer",)
        until(lambda: board(run).get("stuck") == ("up", 1), seconds=20, supervisor=supervisor)
        assert not alive(first)
        assert other.pid == stays_pid


def test_a_child_whose_loop_stands_still_is_ended_and_one_that_gives_no_sign_is_let_be(tmp_path, said):
    run = tmp_path / "run"
    run.mkdir()
    beats_once = script(
        tmp_path, "once", "import os, sys, time, pathlib\npathlib.Path(sys.argv[1], f'{os.getpid()}.beat').touch()\ntime.sleep(60)"
    )
    stays = script(tmp_path, "stays", STAYS)
    with Supervisor(said.append, first_pause_s=60, run_folder=run, hangs_after_s=0.2, ended_after_s=0.6) as supervisor:
        supervisor.start(Program("web", (beats_once, str(run))))
        silent = supervisor.start(Program("background work", (stays, str(tmp_path / "pid"))))
        until(lambda: board(run).get("web") == ("down", 0), seconds=30, supervisor=supervisor)
        assert "it hung and was ended" in processes.read(run).processes[0].reason
        assert silent.running
        assert processes.read(run).troubles == ("web is down and will be started again",)
        assert not list(run.glob("*.beat"))


def test_a_program_that_promises_signs_is_ended_without_any_and_one_whose_forks_give_them_stays(tmp_path, said):
    run = tmp_path / "run"
    run.mkdir()
    beats = script(
        tmp_path,
        "beats",
        "import os, sys, time\nfrom pathlib import Path\nfrom llm_gateway.telemetry.processes import beat\n"
        "if os.fork() == 0:\n    while True:\n        beat(Path(sys.argv[1])), time.sleep(0.05)\ntime.sleep(60)",
    )
    stays = script(tmp_path, "stays", STAYS)
    with Supervisor(said.append, first_pause_s=60, run_folder=run, hangs_after_s=60, ended_after_s=60) as supervisor:
        lively = supervisor.start(Program("lively", (beats, str(run)), silent_for_s=3))
        supervisor.start(Program("mute", (stays, str(tmp_path / "pid")), silent_for_s=3))
        until(lambda: board(run).get("mute") == ("hanging", 0), seconds=30, supervisor=supervisor)
        until(lambda: board(run).get("mute") == ("down", 0), seconds=30, supervisor=supervisor)
        assert any("mute has given no sign of life" in line for line in said)
        assert lively.running
        assert lively.state == "up"


def test_a_board_whose_supervisor_is_gone_tells_nothing(tmp_path):
    processes.publish(tmp_path, (processes.Process(name="web", state="down"),))
    text = (tmp_path / processes.FILE).read_text()
    assert processes.read(tmp_path) is not None
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    (tmp_path / processes.FILE).write_text(text.replace(str(os.getpid()), str(gone.pid)))
    assert processes.read(tmp_path) is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"at": 1}', "null"])
def test_a_board_that_is_damaged_tells_nothing(tmp_path, text):
    (tmp_path / processes.FILE).write_text(text)
    assert processes.read(tmp_path) is None


@pytest.mark.skipif(sys.platform != "linux", reason="niceness is read from /proc")
def test_what_runs_beside_the_relay_stands_back(tmp_path, said):
    nice = script(tmp_path, "nice", "import os, sys, pathlib\npathlib.Path(sys.argv[1]).write_text(str(os.nice(0)))")
    with Supervisor(said.append, first_pause_s=60) as supervisor:
        supervisor.start(Program("background work", (nice, str(tmp_path / "nice")), niceness=7))
        until(lambda: len(said) == 1, supervisor=supervisor)
    assert int((tmp_path / "nice").read_text()) == min(19, os.nice(0) + 7)
