"""The wrong lines for what makes a request cheap, as fields of :class:`tests.sabotage.Sabotage`."""

from __future__ import annotations

_DOORSTEP = "tests/door/test_doorstep.py"

SPEED: tuple[tuple[str, str, str, str, tuple[str, ...]], ...] = (
    # What is worked out once
    (
        "requests share their targets",
        "llm_gateway/engine/resolve.py",
        "    return Target(provider=one.provider,",
        "    return one or Target(provider=one.provider,",
        ("tests/engine/test_ways.py", "-k", "targets_of_its_own"),
    ),
    (
        "an older catalogue's key goes on",
        "llm_gateway/engine/ways.py",
        "own.credential is target.credential and ",
        "",
        ("tests/engine/test_ways.py", "-k", "newer_catalogue"),
    ),
    (
        "an older catalogue's keys are kept",
        "llm_gateway/engine/resolve.py",
        "            forget_ways()\n",
        "",
        ("tests/engine/test_ways.py", "-k", "newer_catalogue"),
    ),
    (
        "a name is whose it was first",
        "llm_gateway/engine/resolve.py",
        "    key = id(identity), asked, strategy\n    found = _known.of(snapshot)\n    known = found.get(key)\n"
        "    if known is None or known[0] is not identity:\n",
        "    key = 0, asked, strategy\n    found = _known.of(snapshot)\n    known = found.get(key)\n    if known is None:\n",
        ("tests/engine/test_ways.py", "-k", "another_identity"),
    ),
    (
        "a nested field is renamed",
        "llm_gateway/core/json.py",
        "body.count(key) != 1 or ",
        "",
        ("tests/engine/test_ways.py", "-k", "every_byte"),
    ),
    (
        "a caller's headers are nobody's",
        "llm_gateway/engine/ways.py",
        "        if service.facts.pass_headers.isdisjoint(passed):",
        "        if True:",
        ("tests/engine/test_ways.py", "-k", "lets_through"),
    ),
    (
        "a deadline swallows a caller's leaving",
        "llm_gateway/engine/until.py",
        "self._late and task.uncancel() <= self._before and ",
        "",
        ("tests/engine/test_until.py", "-k", "elsewhere"),
    ),
    # Chunks read by comparing
    (
        "a quote ends no piece of a text",
        "llm_gateway/wires/openai_chat/alike.py",
        """if b'"' in piece or b"\\\\" in piece:""",
        'if b"\\\\" in piece:',
        ("tests/wires/test_alike.py", "-k", "whatever_comes"),
    ),
    (
        "an escape is text",
        "llm_gateway/wires/openai_chat/alike.py",
        """if b'"' in piece or b"\\\\" in piece:""",
        """if b'"' in piece:""",
        ("tests/wires/test_alike.py", "-k", "whatever_comes"),
    ),
    # Answers read at a glance
    (
        "a refusal's explanation is overlooked",
        "llm_gateway/wires/anthropic_messages/glance.py",
        "    stop_details: None = None\n",
        "",
        ("tests/wires/test_other_glances.py", "-k", "everything_else"),
    ),
    (
        "searches are overlooked",
        "llm_gateway/wires/gemini_generate/glance.py",
        'class _Candidate(msgspec.Struct, gc=False, forbid_unknown_fields=True, rename="camel"):',
        'class _Candidate(msgspec.Struct, gc=False, rename="camel"):',
        ("tests/wires/test_other_glances.py", "-k", "everything_else"),
    ),
    # The doorstep
    (
        "the doorstep takes what was sent before an answer",
        "cogo/doorstep.py",
        "(cycle is not None and not cycle.response_complete) or ",
        "",
        (_DOORSTEP, "-k", "alike"),
    ),
    (
        "the doorstep takes a body of another form",
        "cogo/doorstep.py",
        " or not names.keys().isdisjoint(_OTHERWISE):",
        ":",
        (_DOORSTEP, "-k", "both_ways"),
    ),
    (
        "the doorstep takes the last of two values",
        "cogo/doorstep.py",
        " or len(names) != len(self.headers)",
        "",
        (_DOORSTEP, "-k", "both_ways"),
    ),
    (
        "the doorstep keeps what was to be closed",
        "cogo/doorstep.py",
        '        if names.get("connection", "keep-alive").lower() != "keep-alive":\n            return False\n',
        "",
        (_DOORSTEP, "-k", "both_ways"),
    ),
    (
        "the doorstep takes a body of any size",
        "cogo/doorstep.py",
        " or not int(length) <= min(MOST_BYTES, compat.most_body_bytes):",
        ":",
        (_DOORSTEP, "-k", "too_large"),
    ),
    (
        "the doorstep waits for a body without end",
        "cogo/doorstep.py",
        "                self._timer = self.loop.call_later(GRACE_S, self._go_on)",
        "                pass",
        ("tests/door/test_admission.py::test_a_half_sent_body_takes_no_place",),
    ),
    (
        "who leaves the doorstep is answered all the same",
        "cogo/doorstep.py",
        "            self.gone = True\n            self.task.cancel()\n",
        "            pass\n",
        (_DOORSTEP, "-k", "let_go_at_once"),
    ),
    (
        "an answer's header becomes two",
        "cogo/doorstep.py",
        '            raise RuntimeError("a header of the answer holds a line break")',
        "            pass",
        (_DOORSTEP, "-k", "becomes_two"),
    ),
    (
        "the doorstep stays open while the house closes",
        "cogo/door/compat.py",
        "            self._arrivals.check_open()\n        except GatewayError as error:\n            step.reply(",
        "            pass\n        except GatewayError as error:\n            step.reply(",
        ("tests/door/test_admission.py::test_a_refusal_keeps_no_connection_waiting",),
    ),
    (
        "a place is lost at the doorstep",
        "cogo/door/compat.py",
        "            await self._serve_at_once(call, route, step)\n        finally:\n            places.leave()",
        "            await self._serve_at_once(call, route, step)\n        finally:\n            pass",
        (_DOORSTEP, "-k", "let_go_at_once"),
    ),
)
