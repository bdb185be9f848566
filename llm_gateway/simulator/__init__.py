"""A provider simulator: a real HTTP server that speaks the provider wires, with personalities and faults.

It is a test rig and a demo backend: no provider is called, and every answer carries ``x-cogo-simulated: true`` (and
``x-cogo-sim-id``, the id of its journal entry).

    async with Simulator(latency_ms=0, chunk_ms=0) as sim:      # or: with ThreadedSimulator(...) as sim
        sim.base_url("openai")                                   # openai anthropic gemini fireworks custom
        sim.control("personality/openai", state="down")          # or POST /_sim/personality/openai {"state": "down"}

Keys are what their text says: one containing invalid, expired, noperm, region, nolist, broke or limited is refused in the
provider's own way, any other is good.

Faults are chosen by model name, ``fault:<kind>[:arg…][@n][+<kind>…]``, after n content events where that makes sense:
connection: refuse silent rst@n fin@n stall@n slow:<ms> pause:<ms>@n drip[:ms]@n heartbeat[:ms]@n badchunk@n badstatus
bighdr gzipbomb[:MiB] gzip split1 burst; answer: status:<code>[:ra=s|:ra-ms=ms|:ra-date=±s|:quota|:should-retry=…] ctx filter
filter-out@n err200[:code] err[:code]@n html200 html502 redirect[:code] empty[:text] badjson truncjson echo-auth[:status]
hugebody[:MB] hugeevent[:MB][@n] usage:<none|zero|huge|negative|string>; stream: badsse@n noterm[@n] noterm-finished dupterm crlf cr
u2028 bom comments multiline nospace; ok is no fault.
The lenient host also has ``quirk:<name>`` models (providers/custom_quirks.py).

Control room: GET /_sim/state, GET|DELETE /_sim/journal[?provider=&model=&outcome=&limit=], and POST (or ``control``):
personality/{provider|all} {state, latency_ms, chunk_ms, slow_ms, jitter, p, faults, fault} with state one of up down slow
flaky unauthorized overloaded quota ratelimited fault; reset {}; faults {model, sequence, repeat?};
script {steps, append?, only_with_tools?} with steps {tool, arguments | input}, {tools: […]}, {text, thinking?} or {fault};
models {provider, add?, retire?}; keys {key: verdict}.
"""

from llm_gateway.simulator.server import Simulator
from llm_gateway.simulator.threaded import ThreadedSimulator, run

__all__ = ["Simulator", "ThreadedSimulator", "run"]
