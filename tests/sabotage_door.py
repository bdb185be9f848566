"""The wrong lines for the door: bodies, places, drain and overload, as fields of :class:`tests.sabotage.Sabotage`."""

from __future__ import annotations

DOOR: tuple[tuple[str, str, str, str, tuple[str, ...]], ...] = (
    # T3
    (
        "no drain",
        "cogo/door/drain.py",
        "        asyncio.get_running_loop().call_later(self._drain_s, self._end_streams)",
        "        pass",
        ("tests/door/test_drain.py",),
    ),
    (
        "die by the signal",
        "cogo/door/drain.py",
        "                    server.should_exit = True",
        "                    before(got, frame)",
        ("tests/door/test_drain.py",),
    ),
    ("bodies hold the drain", "cogo/door/arrivals.py", "            reader.stop()", "            pass", ("tests/door/test_drain.py",)),
    (
        "stuck reader holds the drain",
        "cogo/door/drain.py",
        "            watch.give_up()",
        "            pass",
        ("tests/door/test_drain.py",),
    ),
    # T17
    (
        "never full",
        "cogo/places.py",
        "                raise _full() from None",
        "                return",
        ("tests/door/test_admission.py",),
    ),
    (
        "places are lost",
        "cogo/places.py",
        "        self.inside -= 1",
        "        pass",
        ("tests/door/test_admission.py::test_a_place_that_comes_free_goes_to_who_waits",),
    ),
    (
        "a place in hand is dropped",
        "cogo/places.py",
        "            if handed_over:\n                self.leave()\n            raise",
        "            raise",
        ("tests/door/test_places.py",),
    ),
    (
        "stalled readers stay",
        "cogo/caller.py",
        "            self.stalled = now - self.sending > self._stall_s",
        "            pass",
        ("tests/faults/test_callers.py::test_c4_a_reader_that_stalls_is_cut_off",),
    ),
    (
        "bodies without end",
        "cogo/caller.py",
        "        if size > self._cap:",
        "        if size > 1 << 40:",
        ("tests/faults/test_callers.py::test_c9_an_oversized_body_is_refused_and_not_read",),
    ),
    # What follows a body, and what follows its answer
    (
        "fields behind a body are heard",
        "cogo/connections.py",
        "        if self._awaiting_head and not self._refused:\n            super().on_header",
        "        if not self._refused:\n            super().on_header",
        ("tests/door/test_connections.py", "-k", "change_nothing"),
    ),
    (
        "fields behind a body without end",
        "cogo/connections.py",
        "            if self._framing > MOST_HEAD_BYTES:",
        "            if self._framing > 1 << 40:",
        ("tests/door/test_connections.py", "-k", "have_an_end"),
    ),
    (
        "an answered body trickles on for ever",
        "cogo/connections.py",
        "and self._clock is None and not self.transport.is_closing():\n            self._start_clock()",
        "and self._clock is None and self.transport.is_closing():\n            self._start_clock()",
        ("tests/door/test_connections.py", "-k", "goes_on"),
    ),
    (
        "requests queue without end",
        "cogo/connections.py",
        "        elif len(self.pipeline) >= MOST_WAITING:",
        "        elif len(self.pipeline) >= 1 << 40:",
        ("tests/door/test_connections.py", "-k", "few_requests"),
    ),
    # T18
    (
        "gzip without bound",
        "llm_gateway/engine/inflating.py",
        "self._out > self.MAX_RATIO * self._in",
        "self._out > 10**6 * self._in",
        ("tests/faults/test_bombs.py",),
    ),
)
