"""Turns and pace of batches."""

from __future__ import annotations

from uuid import UUID

from llm_gateway.policies import pace as paces
from llm_gateway.policies.pace import Pace
from llm_gateway.policies.turns import Waiting, turns


def waits(number: int, team: int, queued: int, running: int = 0, most: int = 1000) -> Waiting:
    return Waiting(batch=UUID(int=number), team=team, queued=queued, running=running, most=most)


def granted(waiting: list[Waiting], free: int) -> dict[int, int]:
    return {batch.int: count for batch, count in turns(waiting, free)}


def test_places_go_to_the_team_with_the_fewest_lines_running_and_there_to_such_a_batch() -> None:
    assert granted([waits(1, 1, 50_000), waits(2, 2, 10)], 8) == {1: 4, 2: 4}
    assert granted([waits(1, 1, 50_000, running=30), waits(2, 2, 10)], 8) == {2: 8}
    assert granted([waits(1, 1, 50_000, running=30), waits(2, 2, 3)], 8) == {2: 3, 1: 5}
    # Two batches of one team share what the team gets.
    assert granted([waits(1, 1, 100), waits(2, 1, 100), waits(3, 2, 100)], 8) == {1: 2, 2: 2, 3: 4}
    assert granted([waits(1, 1, 100, most=1), waits(2, 2, 0)], 8) == {1: 1}
    assert granted([], 8) == {}


def test_pace_grows_by_one_for_each_of_its_own_size_and_halves_once_for_one_overload() -> None:
    pace = Pace(limit=8)
    for _ in range(8):
        pace = paces.succeeded(pace, 32)
    assert 8.9 < pace.limit < 9.01
    pushed = paces.pushed_back(pace, 100.0, 7.0)
    assert pushed.limit == pace.limit / 2
    assert paces.room(pushed, 0, 32, 106.9, live=False) == 0
    assert paces.room(pushed, 0, 32, 107.1, live=False) == 4
    # The other lines that were on their way tell of the same overload.
    same = paces.pushed_back(pushed, 100.5, None)
    assert same.limit == pushed.limit
    later = paces.pushed_back(pushed, 120.0, None)
    assert later.limit == pushed.limit / 2
    assert 121.9 <= later.not_before <= 122.1
    assert paces.succeeded(Pace(limit=32), 32).limit == 32
    for second in range(20):
        pace = paces.pushed_back(pace, 200.0 + 70 * second, None)
    assert pace.limit == paces.LEAST
    assert pace.not_before == 200.0 + 70 * 19 + paces.LONGEST_WAIT_S


def test_a_batch_has_a_quarter_of_its_places_where_live_traffic_goes_and_never_none() -> None:
    pace = Pace(limit=32)
    assert paces.room(pace, 0, 32, 0.0, live=True) == 8
    assert paces.room(pace, 8, 32, 0.0, live=True) == 0
    assert paces.room(pace, 0, 2, 0.0, live=True) == 1
    assert paces.room(pace, 20, 32, 0.0, live=False) == 12
