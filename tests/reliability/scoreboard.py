"""The figures of docs/reliability.md, measured here and now: ``python -m tests.reliability.scoreboard [--write] [NAME …]``.

Loopback only, about five minutes, on whatever shares this machine: a figure is what a run shows, a bar is what reliability asks for.
``--write`` puts the figures into the page, those that were not measured stay. ``REQUESTS``: how many for the availability (4000).
"""

from __future__ import annotations

import asyncio
import math
import os
import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from tests.reliability.figures import HEAD, PAGE, written

if TYPE_CHECKING:  # they import models, which need Django to be set up
    from tests.reliability.rig import Bench, Heard

Line = tuple[str, str, str, str]
STREAMS = 220


@contextmanager
def prepared() -> Iterator[Bench]:
    import django

    django.setup()
    from django.test.utils import setup_databases, teardown_databases

    from tests.reliability.rig import Apart, Bench
    from tests.support.rows import Rows

    made = setup_databases(verbosity=0, interactive=False)
    simulator = Apart()
    rows = Rows(simulator)  # type: ignore[arg-type]  # it only asks for base URLs
    rows.fill()
    try:
        yield Bench(simulator, rows)
    finally:
        simulator.stop()
        rows.empty()
        teardown_databases(made, verbosity=0)


def availability(bench: Bench) -> Iterator[Line]:
    """C4: four candidates that fail independently, 3 in 10 to 1 in 20; no breaker takes one out, so that chance alone decides."""
    from llm_gateway.models import Provider, RequestLog
    from tests.reliability.rig import alias, call, closely
    from tests.reliability.test_availability import CANDIDATES, FAULTS, ONLY_WHOLE, unavoidable

    number = int(os.environ.get("REQUESTS", "4000"))
    name = alias(bench, "four", *((slug, "steady") for slug in CANDIDATES))
    Provider.objects.filter(slug__in=CANDIDATES).update(ignore_health=True)
    for slug, p in CANDIDATES.items():
        faults = [*FAULTS, *ONLY_WHOLE]
        bench.simulator.control(f"personality/{slug}", state="flaky", p=p, faults=faults, latency_ms=0, chunk_ms=0)
    with bench.gateway() as process:
        heard = asyncio.run(closely(process.port, lambda _: call(name, bench.rows.key), number, 8))
    bench.simulator.control("reset")
    Provider.objects.filter(slug__in=CANDIDATES).update(ignore_health=False)
    rows = RequestLog.objects.filter(asked_model=name)
    # A failure without a cause upstream is the gateway's own, and so is an answer nobody got.
    uncaused = rows.exclude(state="ok").exclude(attempts__outcome="failed").distinct().count()
    ours = uncaused + sum(one.status in (0, 500) for one in heard) + (number - rows.count())
    failed = sum(one.status != 200 for one in heard)
    expected = unavoidable()
    most = expected + 3 * math.sqrt(expected * (1 - expected) / number) + 1e-5
    bound = f"95 % upper bound {3 / number:.0e}" if not ours else "SEE THE LOG"
    yield (
        "C4 four fallbacks, three attempts",
        f"failures ≤ {most:.2%} (chance {expected:.2%} + 3 σ)",
        f"{failed / number:.2%} failed",
        f"{number} requests",
    )
    yield ("C4 failures through the gateway itself", "≤ 1e-5", f"{ours} in {number}", bound)


def failover(bench: Bench) -> Iterator[Line]:
    """C5: every request meets a dead primary; then one whose breaker has opened."""
    from tests.reliability.rig import alias, call, share, steadily

    rows = bench.rows
    rows.provider("always-refused", rows.providers["refused"].base_url, ignore_health=True)
    names = [alias(bench, "plain", ("chat", "steady")), alias(bench, "dead", ("always-refused", "x"), ("chat", "steady"))]
    names.append(alias(bench, "opened", ("refused", "x"), ("chat", "steady")))
    with bench.gateway() as process:
        asyncio.run(steadily(process.port, lambda n: call(names[n % 3], rows.key), 30, 2))
        heard = asyncio.run(steadily(process.port, lambda n: call(names[n % 3], rows.key), 45, 20))
    by_name = [[one.ms for one in heard[start::3] if one.status == 200] for start in range(3)]
    plain, dead, opened = ((share(one, 0.5), share(one, 0.99)) for one in by_name)
    good = sum(one.status == 200 for one in heard)
    yield (
        "C5 dead primary, every request",
        "p50 ≤ 10, p99 ≤ 60 ms added",
        f"{dead[0] - plain[0]:.1f}, {dead[1] - plain[1]:.1f} ms",
        f"{good}/{len(heard)} answered",
    )
    yield (
        "C5 dead primary, breaker open",
        "≤ 2 ms added",
        f"{opened[0] - plain[0]:.1f} ms (p50)",
        f"healthy p50 {plain[0]:.1f}, p99 {plain[1]:.1f} ms",
    )


def silent(bench: Bench) -> Iterator[Line]:
    """C6: a primary that accepts and says nothing; its clock is 250 ms."""
    from tests.reliability.rig import alias, call, share, steadily
    from tests.support.rows import HASTY_MS

    name = alias(bench, "mute", ("hasty-chat", "fault:silent"), ("chat", "steady"))
    with bench.gateway() as process:
        asyncio.run(steadily(process.port, lambda _: call("chat/warm", bench.rows.key), 10, 1))
        heard: list[Heard] = []
        for _ in range(25):
            heard += asyncio.run(steadily(process.port, lambda _: call(name, bench.rows.key), 100, 0.01))
    slow = [one.ms for one in heard if one.ms >= HASTY_MS["first_event"]]
    fast = [one.ms for one in heard if one.ms < HASTY_MS["first_event"]]
    added = max(slow) - HASTY_MS["first_event"]
    yield (
        "C6 silent primary",
        "timer + ≤ 100 ms, ≤ 5 requests",
        f"timer + {added:.0f} ms at most, {len(slow)} requests",
        f"then p50 {share(fast, 0.5):.1f} ms",
    )


def amplification(bench: Bench) -> Iterator[Line]:
    """C7: two candidates, both down; counted where they are."""
    import openai

    from tests.reliability.rig import alias, call, steadily

    name = alias(bench, "outage", ("chat", "fault:status:500"), ("chat2", "fault:status:500"))
    with bench.gateway() as process:
        bench.simulator.forget()
        heard = asyncio.run(steadily(process.port, lambda _: call(name, bench.rows.key), 20, 14))
        entries = [one["mono"] for one in bench.simulator.journal()]
        late = sum(one > entries[0] + 10 for one in entries) if entries else 0
        yield (
            "C7 amplification, no SDK",
            "≤ 1.2× after 10 s",
            f"{late / (20 * 4):.2f}× after 10 s, {len(entries) / len(heard):.2f}× over all",
            f"{len(heard)} requests, {len(entries)} upstream",
        )
    counts = {}
    for retries in (0, 2):
        with bench.gateway() as process:
            bench.simulator.forget()

            def one(_: int, port: int = process.port, retries: int = retries) -> None:
                http = openai.DefaultHttpxClient(trust_env=False)
                with openai.OpenAI(
                    api_key=bench.rows.key, base_url=f"http://127.0.0.1:{port}/v1", max_retries=retries, http_client=http
                ) as sdk:
                    try:
                        sdk.chat.completions.create(model=name, messages=[{"role": "user", "content": "hello"}], timeout=20)
                    except openai.APIError:
                        return

            with ThreadPoolExecutor(20) as pool:
                list(pool.map(one, range(20)))
            counts[retries] = len(bench.simulator.journal())
    yield (
        "C7 amplification, SDK with 2 retries",
        "≤ 1.0× more than without",
        f"{(counts[2] - counts[0]) / 20:+.2f}× ({counts[2] / 20:.2f}× with, {counts[0] / 20:.2f}× without)",
        f"20 calls at once into a gateway that knows of nothing yet: {counts[2]} and {counts[0]} upstream",
    )


def neighbours(bench: Bench) -> Iterator[Line]:
    """C9: one caller's requests alone, then beside another's of which 3 in 10 fail, and 20 readers that do not read."""
    from tests.reliability.rig import alias, call, share, steadily
    from tests.reliability.test_availability import FAULTS
    from tests.support.raw import connected, generation

    clean, noisy = alias(bench, "clean", ("chat", "steady")), alias(bench, "noisy", ("gemini", "steady"), ("openai", "steady"))
    other = bench.rows.issue("noisy neighbour")
    for slug in ("gemini", "openai"):
        bench.simulator.control(f"personality/{slug}", state="flaky", p=0.3, faults=list(FAULTS), latency_ms=0, chunk_ms=0)
    with bench.gateway() as process, ExitStack() as stack:
        port = process.port

        async def beside() -> tuple[list[Heard], list[Heard]]:
            return await asyncio.gather(
                steadily(port, lambda _: call(clean, bench.rows.key), 20, 10), steadily(port, lambda _: call(noisy, other), 20, 10)
            )

        asyncio.run(steadily(port, lambda _: call(clean, bench.rows.key), 20, 2))
        alone = asyncio.run(steadily(port, lambda _: call(clean, bench.rows.key), 40, 10))
        hanging = generation("openai_chat", other, "chat/fault:hugebody:8", stream=True)
        for _ in range(20):
            stack.enter_context(connected(port, hanging, receive_buffer=4096))
        time.sleep(3)  # the one simulator writes their 8 MB each until all buffers are full
        heard, _ = asyncio.run(beside())
    bench.simulator.control("reset")
    before, after = (share([one.ms for one in part if one.status == 200], 0.99) for part in (alone, heard))
    yield (
        "C9 a healthy caller beside a faulty one",
        "p99 ≤ 1.5×",
        f"p99 {before:.1f} ms alone, {after:.1f} ms beside it ({after / before:.1f}×)",
        f"{sum(one.status == 200 for one in heard)}/{len(heard)} answered, the same load in both",
    )


def overload(bench: Bench) -> Iterator[Line]:
    """C10: a gateway of 16 places at three times what they take, so that admission alone decides; then 50 to 1200 requests a second at one
    worker as it comes, where the callers and the simulator want the same two cores."""
    bar = "goodput ≥ 90 % of peak, p99 ≤ 2× calm, 503 ≤ 100 ms p99, liveness p95 < 500 ms"
    os.environ["COGO_MAX_IN_FLIGHT"] = "16"
    few = list(_stepped(bench, "chat/fault:slow:200", (20, 70, 210)))
    del os.environ["COGO_MAX_IN_FLIGHT"]
    many = _stepped(bench, "chat/fault:slow:20", (50, 150, 300, 600, 1200))
    for places, rates in ((" to 16 places", few), ("", many)):
        for rate, measured, beside in rates:
            yield (f"C10 {rate}/s offered{places}", bar, measured, beside)


def _stepped(bench: Bench, model: str, rates: Sequence[int]) -> Iterator[tuple[int, str, str]]:
    from tests.reliability.rig import call, liveness, share, steadily

    best = calm_p99 = 0.0
    with bench.gateway() as process:
        asyncio.run(steadily(process.port, lambda _: call(model, bench.rows.key), 20, 2))
        for rate in rates:

            async def both(port: int = process.port, rate: int = rate) -> tuple[list[Heard], list[float]]:
                return await asyncio.gather(steadily(port, lambda _: call(model, bench.rows.key), rate, 8), liveness(port, 8))

            began = time.monotonic()
            heard, alive = asyncio.run(both())
            took = time.monotonic() - began
            good = [one.ms for one in heard if one.status == 200]
            full = [one for one in heard if one.status == 503]
            rest = len(heard) - len(good) - len(full)
            goodput = len(good) / took
            best = max(best, goodput)
            calm_p99 = calm_p99 or share(good, 0.99)
            told = "on all" if all(one.retry_after for one in full) else "MISSING"
            refused = f"{len(full)} × 503 (p99 {share([one.ms for one in full], 0.99):.0f} ms, Retry-After {told})" if full else "no 503"
            yield (
                rate,
                f"{goodput:.0f}/s ({goodput / best:.0%} of peak), p50 {share(good, 0.5):.0f}, p99 {share(good, 0.99):.0f} ms "
                f"({share(good, 0.99) / calm_p99:.1f}× calm)",
                f"{refused}, {rest} other, liveness p95 {share(alive, 0.95):.0f} ms; "
                f"the callers themselves late by {share([one.late_ms for one in heard], 0.99):.0f} ms p99",
            )


def fidelity(bench: Bench) -> Iterator[Line]:
    """C13: the bytes of a stream however they are split; no forged end wherever it is cut."""
    import httpx

    from tests.engine.test_streams_through import chat
    from tests.support.host import Host
    from tests.support.speaking import Speaker

    host = Host()
    bench.rows.provider("host-chat", host.url, ignore_health=True)
    whole = chat()
    draw = random.Random(13)
    more: dict[str, Any] = {"stream_options": {"include_usage": True}}
    same = splits = forged = silent_ends = cut = 0
    with bench.gateway() as process, httpx.Client(base_url=f"http://127.0.0.1:{process.port}", timeout=20, trust_env=False) as http:
        speaker = Speaker(http, "openai_chat", bench.rows.key)
        for _ in range(STREAMS):
            marks = sorted({0, len(whole), *(draw.randrange(1, len(whole)) for _ in range(50))})
            splits += len(marks) - 2
            host.say([whole[a:b] for a, b in pairwise(marks)])
            same += speaker.ask("host-chat/x", stream=True, **more).body == whole
        finished = whole.index(b'"finish_reason": "stop"')
        for at in range(whole.index(b"one "), finished, 7):
            host.say([whole[:at]])
            answer = speaker.ask("host-chat/x", stream=True, headers={"x-request-timeout-ms": "1000"}, **more)
            cut += 1
            forged += answer.terminals
            silent_ends += not answer.errors
    host.close()
    yield (
        "C13 stream fidelity",
        "byte-exact over 10,000 splits; 0 forged ends",
        f"{same}/{STREAMS} streams byte-exact over {splits} splits",
        f"{cut} cuts: {forged} forged ends, {silent_ends} without an error",
    )


def cancel(bench: Bench) -> Iterator[Line]:
    """C14: from the caller's hanging up to the provider's seeing it."""
    from tests.reliability.rig import share
    from tests.support.raw import connected, generation, until

    waits: dict[bool, list[float]] = {}
    with bench.gateway() as process:
        for stream, fault in ((True, "fault:stall@3"), (False, "fault:silent")):
            bench.simulator.forget()
            left: list[float] = []
            for number in range(40):
                data = generation("openai_chat", bench.rows.key, f"chat/{fault}", stream=stream)
                with connected(process.port, data) as peer:
                    if stream:
                        until(peer, b"data:")
                    while len(bench.simulator.journal()) <= number:
                        time.sleep(0.01)
                    time.sleep(0.02 * (number % 5))
                    left.append(time.monotonic())
            deadline = time.monotonic() + 5
            while any(not one["peer_closed"] for one in bench.simulator.journal()) and time.monotonic() < deadline:
                time.sleep(0.05)
            closed = [one["peer_closed"] for one in bench.simulator.journal()]
            waits[stream] = [(one["mono"] - at) * 1000 if one else 5000.0 for one, at in zip(closed, left, strict=True)]
    for stream, found in waits.items():
        yield (
            f"C14 cancel, {'stream' if stream else 'whole answer'}",
            "≤ 1000 ms p99",
            f"p50 {share(found, 0.5):.0f}, p99 {share(found, 0.99):.0f} ms",
            f"{len(found)} callers that left",
        )


def drain(bench: Bench) -> Iterator[Line]:
    """C15: SIGTERM while streams run, D = 1 s."""
    from tests.support.raw import connected, generation, rest, until

    ended = []
    told = streams = 0
    runs = 4
    for _ in range(runs):
        with bench.gateway(drain_s=1) as process, ExitStack() as stack:
            peers = [
                stack.enter_context(connected(process.port, generation(dialect, bench.rows.key, f"{slug}/fault:stall@2", stream=True)))
                for dialect, slug in (("openai_chat", "chat"), ("anthropic_messages", "claude"), ("native", "chat")) * 4
            ]
            for peer in peers:
                until(peer, b"data:")
            began = time.monotonic()
            process.told(15)
            for peer in peers:
                streams += 1
                told += b"server_shutting_down" in rest(peer, 8)
            code = process.ended(15)
            ended.append((code, time.monotonic() - began))
    codes = {code for code, _ in ended}
    yield (
        "C15 drain, D = 1 s",
        "exit 0 within D + 2 s; 100 % told",
        f"exit {codes}, {max(took for _, took in ended):.2f} s at most",
        f"{runs} runs: {told}/{streams} streams ended with the error event",
    )


PARTS: dict[str, Callable[..., Iterator[Line]]] = {
    part.__name__: part for part in (availability, failover, silent, amplification, neighbours, overload, fidelity, cancel, drain)
}


def main(arguments: list[str]) -> int:
    names = [name for name in arguments if name != "--write"]
    if unknown := set(names) - PARTS.keys():
        sys.exit(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    began = time.monotonic()
    out = sys.stdout
    out.write(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the start\n\n{HEAD}")
    lines: dict[str, str] = {}
    with prepared() as found:
        for name, part in PARTS.items():
            if names and name not in names:
                continue
            for line in part(found):
                lines[line[0]] = f"| {' | '.join(line)} | `make reliability ARGS={name}` |\n"
                out.write(lines[line[0]])
                out.flush()
    out.write(f"\n{time.monotonic() - began:.0f} s, load {os.getloadavg()[0]:.1f} at the end\n")
    if "--write" in arguments:
        PAGE.write_text(written(PAGE.read_text(encoding="utf-8"), lines), encoding="utf-8")
    return 0


if __name__ == "__main__":
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    sys.exit(main(sys.argv[1:]))
