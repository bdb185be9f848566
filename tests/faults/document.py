"""The fault table of docs/reliability.md, made of table.py: ``python -m tests.faults.document``."""

from __future__ import annotations

from pathlib import Path

from .scenes import CALLERS, PROCESS, SCENES, Scene
from .table import B1, B2, Row

FILE = Path(__file__).resolve().parents[2] / "docs" / "reliability.md"
BEGIN, END = "<!-- made by `make fault-table` -->\n", "<!-- end of what is made -->\n"

WORDS = {
    "refused!": "connection refused",
    "nodns!": "host name does not resolve",
    "tls!": "no trusted TLS",
    "blackhole!": "does not accept the connection in time",
    "silent": "accepts and says nothing",
    "ctx": "prompt longer than the context window",
    "status:429:ra=7": "429 with a Retry-After, in any of its forms",
    "status:429:quota": "429 that is a quota, no rate",
    "html502": "502 with an HTML page",
    "status:503:ra=9": "503 with a Retry-After",
    "err200": "an error inside a 200",
    "filter": "the content filter refuses the prompt",
    "html200": "200 with an HTML page",
    "badjson": "200 with malformed JSON",
    "truncjson": "200 with JSON that ends early",
    "redirect:307": "a redirect",
    "gzipbomb:64": "a compressed answer without end",
    "bighdr": "response headers above 64 KB",
    "badstatus": "no HTTP status line",
    "stall@2": "stops sending",
    "rst@2": "connection reset",
    "fin@2": "connection closed inside a chunk",
    "noterm@2": "ends cleanly, without finish and end mark",
    "badsse@2": "an event that is no JSON",
    "err@2": "an error event",
    "hugeevent:9@2": "an event above 1 MB (Gemini: 8 MB)",
    "drip@2": "bytes that never make an event",
    "heartbeat@2": "heartbeats and nothing else",
}
BILLED = {
    "void": "nothing",
    "hold": "the hold: it answered 200, so it may bill",
    "charged": "usage, else an estimate",
    "estimate": "an estimate of prompt and received text",
}
STATES = {
    "none": "–",
    "failure": "a failure is counted",
    "cooling": "key × model rests",
    "off": "key × model is out",
    "key": "the key is out",
}

NEXT = {
    "auth": "another key of this provider, then the next target",
    "quota": "another key of this provider, then the next target",
    "dns": "the next target on another host",
    "conflict": "the same target once, then the next",
    "too_large": "only a target with a larger window",
    "context_length": "only a target with a larger window",
    "content_filter": "none, unless the strategy has `content_policy_fallback`",
}
# Rows of one fault that differ by what the provider's format makes of it.
NAMED = {
    "U21-openai": "an error first in a stream (OpenAI's format)",
    "U21-overloaded": "an error first in a stream (Anthropic's, Gemini's: overloaded)",
    "U35": "an error event (OpenAI's format)",
    "U35-overloaded": "an error event (Anthropic's, Gemini's: overloaded)",
}


def render() -> str:
    parts = [BEGIN, "\n### The provider, before the first content\n\n", _head("next")]
    parts += [_line(row, _next(row)) for row in B1]
    parts += ["\n### The provider, after content\n\n", "Nothing is retried and nobody else is asked. A caller that streams gets "]
    parts += ["what came, one error event with this code, and a clean end of the\nresponse, never the format's own end mark; one that "]
    parts += ["does not stream gets the code as 502 or 503.\n\n", _head("")]
    parts += [_line(row, "") for row in B2]
    for title, scenes in (("What is no fault, or needs a scene", SCENES), ("The caller", CALLERS), ("The process and its stores", PROCESS)):
        parts += [f"\n### {title}\n\n| row | fault | what happens | proof |\n|---|---|---|---|\n", *(_scene(scene) for scene in scenes)]
    return "".join([*parts, "\n", END])


def _head(last: str) -> str:
    names = ["row", "fault", "caller", "class of the attempt", "charged", "health", *([last] if last else [])]
    return f"| {' | '.join(names)} |\n|{'---|' * len(names)}\n"


def _line(row: Row, last: str) -> str:
    told = str(row.status) + "".join(f" ({status} as Anthropic)" for _, status in row.by_dialect)
    caller = f"{told} `{row.code}`{', Retry-After' if row.wait else ''}"
    state = STATES[row.state] + (f": `{row.key_state}`" if row.key_state else "")
    fault = NAMED.get(row.name) or WORDS.get(row.fault) or row.fault.removeprefix("status:")
    cells = [row.name, fault, caller, f"`{row.error}`", BILLED[row.billed], state, *([last] if last else [])]
    return f"| {' | '.join(cells)} |\n"


def _next(row: Row) -> str:
    if row.error in NEXT:
        return NEXT[row.error]
    if row.then == "stop":
        return "none: it would fail everywhere"
    alone = {1: "", 2: "; alone: once more", 0: "; alone: once more if the provider asks for it"}[row.alone]
    return f"the next target{alone}"


def _scene(scene: Scene) -> str:
    return f"| {scene.name} | {scene.fault} | {scene.outcome} | `{scene.proof}` |\n"


def page() -> tuple[str, str, str]:
    """What stands before the made part of the page, that part, and what stands after it."""
    before, begin, rest = FILE.read_text(encoding="utf-8").partition(BEGIN)
    made, end, after = rest.partition(END)
    return before, begin + made + end, after


if __name__ == "__main__":
    before, _, after = page()
    FILE.write_text(before + render() + after, encoding="utf-8")
