"""When a process is started again and when one that hangs is ended: the policy alone."""

from __future__ import annotations

import pytest

from cogo import restarts
from cogo.restarts import Pulse


def test_pauses_double_and_stop_growing_at_a_minute():
    assert [restarts.pause_s(n) for n in (1, 2, 3, 7, 8, 9)] == [0.5, 1, 2, 32, 60, 60]


@pytest.mark.parametrize("failures", [4, 40, 4_000_000])
def test_there_is_no_last_try_however_often_it_ended(failures):
    assert 0 < restarts.pause_s(failures) <= restarts.LONGEST_PAUSE_S


@pytest.mark.parametrize(("ran_s", "after"), [(0.0, 6), (29.9, 6), (30.0, 1), (86400.0, 1)])
def test_a_healthy_while_makes_the_next_end_the_first_one(ran_s, after):
    assert restarts.failures(5, ran_s) == after


def test_a_process_whose_sign_of_life_changes_is_never_silent():
    pulse = Pulse()
    assert [pulse.look(float(now), now * 1.0, stopped=False) for now in range(100)] == [0.0] * 100


def test_silence_is_counted_from_the_first_look_at_which_the_sign_stood_still():
    pulse = Pulse()
    pulse.look(0.0, 1.0, stopped=False)
    assert [pulse.look(float(now), 1.0, stopped=False) for now in (2, 4, 6)] == [0.0, 2.0, 4.0]
    assert pulse.look(8.0, 2.0, stopped=False) == 0.0


def test_a_process_that_gives_no_sign_is_judged_by_the_kernel_alone():
    pulse = Pulse()
    assert [pulse.look(float(now), None, stopped=False) for now in (0, 2, 4)] == [0.0] * 3
    assert [pulse.look(float(now), None, stopped=True) for now in (6, 8, 10)] == [0.0, 2.0, 4.0]


def test_a_supervisor_that_was_absent_itself_blames_nobody():
    pulse = Pulse()
    pulse.look(0.0, 1.0, stopped=False)
    pulse.look(2.0, 1.0, stopped=False)
    assert pulse.look(500.0, 1.0, stopped=False) == 0.0


@pytest.mark.parametrize(("silent_s", "verdict"), [(0, "up"), (14.9, "up"), (15, "hanging"), (59, "hanging"), (60, "end"), (1e9, "end")])
def test_who_is_silent_is_told_first_and_ended_later(silent_s, verdict):
    assert restarts.judged(silent_s) == verdict
