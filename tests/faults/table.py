"""Parts B1 and B2 of the fault matrix as data."""

from __future__ import annotations

from dataclasses import dataclass

# The provider that speaks the dialect's own format, so that relaying is covered as well as translating.
OWN = {"openai_chat": "chat", "anthropic_messages": "claude", "native": "gem"}
DIALECTS = tuple(OWN)


@dataclass(frozen=True)
class Row:
    """``fault``: the simulator's spec, or ``slug!`` for a provider that is broken itself. ``error``: the attempt's class. ``billed``: the
    rule of a failed attempt (``charged``: what was reported, else an estimate). ``state``: what health says afterwards: ``none``,
    ``failure`` (counted, still in), ``cooling``, ``off`` (row in the database), ``key`` (the key's own state). ``wait``: a Retry-After is
    due. ``alone``: attempts with one candidate (0: one, or two where the provider asks for a retry or names a short wait). ``then``: the
    answer of the second candidate (``next``) or none (``stop``)."""

    name: str
    fault: str
    status: int
    code: str
    error: str
    billed: str = "void"
    state: str = "failure"
    wait: bool = False
    alone: int = 1
    then: str = "next"
    hasty: bool = False
    maybe_billed: bool = False
    key_state: str = ""
    by_dialect: tuple[tuple[str, int], ...] = ()
    modes: tuple[bool, ...] = (False, True)
    dialects: tuple[str, ...] = DIALECTS

    def target(self, dialect: str) -> tuple[str, str]:
        """(provider, upstream id)"""
        if self.fault.endswith("!"):
            return self.fault[:-1], "any"
        return ("hasty-" if self.hasty else "") + OWN[dialect], f"fault:{self.fault}"

    def status_in(self, dialect: str) -> int:
        return dict(self.by_dialect).get(dialect, self.status)


ANTHROPIC_529 = (("anthropic_messages", 529),)

B1 = (
    Row("U1", "refused!", 502, "upstream_unreachable", "connect_refused"),
    Row("U2", "nodns!", 502, "upstream_dns", "dns"),
    Row("U3", "tls!", 502, "upstream_tls", "tls", state="cooling"),
    Row("U4", "blackhole!", 504, "upstream_timeout", "connect_timeout"),
    Row("U5", "silent", 504, "upstream_timeout", "ttfb_timeout", hasty=True, maybe_billed=True),
    Row("U7", "status:400", 400, "invalid_request", "bad_request", state="none", then="stop"),
    Row("U8", "status:401", 502, "upstream_auth", "auth", state="key", key_state="invalid"),
    Row("U9", "status:403", 502, "upstream_forbidden", "forbidden", state="cooling"),
    Row("U9-402", "status:402", 502, "upstream_quota", "quota", state="key", key_state="out_of_credit"),
    Row("U10", "status:404", 404, "model_not_found", "model_gone", state="cooling"),
    Row("U11", "status:408", 504, "upstream_timeout", "timeout", alone=0),
    Row("U12", "status:409", 502, "upstream_conflict", "conflict", state="none", alone=0),
    Row("U13", "status:413", 413, "request_too_large", "too_large", state="none", then="stop"),
    Row("U13-context", "ctx", 400, "context_length_exceeded", "context_length", state="none", then="stop"),
    Row("U14", "status:422", 400, "unsupported_parameter", "bad_request", state="none", then="stop"),
    Row("U15", "status:429:ra=7", 429, "upstream_rate_limited", "rate_limited", state="cooling", wait=True),
    Row("U16", "status:429", 429, "upstream_rate_limited", "rate_limited", state="cooling", wait=True, alone=0),
    Row("U17", "status:429:quota", 502, "upstream_quota", "quota", state="key", key_state="out_of_credit"),
    Row("U18", "status:500", 502, "upstream_error", "server_error", alone=2),
    Row("U18-502", "status:502", 502, "upstream_error", "server_error", alone=2),
    Row("U18-html", "html502", 502, "upstream_error", "server_error", alone=2),
    Row("U19", "status:503", 503, "upstream_overloaded", "overloaded", state="cooling", wait=True, by_dialect=ANTHROPIC_529, alone=0),
    Row("U19-wait", "status:503:ra=9", 503, "upstream_overloaded", "overloaded", state="cooling", wait=True, by_dialect=ANTHROPIC_529),
    Row("U20", "status:529", 503, "upstream_overloaded", "overloaded", state="cooling", wait=True, by_dialect=ANTHROPIC_529),
    Row("U21", "err200", 502, "upstream_error", "server_error", alone=2, modes=(False,)),
    Row("U21-openai", "err200", 502, "upstream_error", "server_error", alone=2, dialects=("openai_chat",), modes=(True,)),
    Row(
        "U21-overloaded",
        "err200",
        503,
        "upstream_overloaded",
        "overloaded",
        state="cooling",
        wait=True,
        by_dialect=ANTHROPIC_529,
        dialects=("anthropic_messages", "native"),
        modes=(True,),
        alone=0,
    ),
    Row("U22", "filter", 400, "content_filter", "content_filter", billed="charged", state="none", then="stop"),
    Row("U24", "html200", 502, "upstream_bad_response", "bad_content_type"),
    Row("U25", "badjson", 502, "upstream_bad_response", "bad_json", billed="hold", modes=(False,)),
    Row("U25-cut", "truncjson", 502, "upstream_bad_response", "bad_json", billed="hold", modes=(False,)),
    Row("U26", "redirect:307", 502, "upstream_redirect", "redirect", state="cooling"),
    Row("U27", "gzipbomb:64", 502, "upstream_too_large", "too_large_response", billed="hold"),
    Row("U28-headers", "bighdr", 502, "upstream_bad_response", "protocol"),
    Row("U28-status", "badstatus", 502, "upstream_bad_response", "protocol"),
)

# After content; ``@2``: two content events reach the caller first. Gemini may send a picture in one event, so its limit is 8 MB.
B2 = (
    Row("U30", "stall@2", 502, "upstream_stalled", "idle_timeout", "estimate", hasty=True),
    Row("U31", "rst@2", 502, "upstream_reset", "reset", "estimate"),
    Row("U32", "fin@2", 502, "upstream_truncated", "truncated", "estimate"),
    Row("U33", "noterm@2", 502, "upstream_truncated", "no_terminal", "estimate"),
    Row("U34", "badsse@2", 502, "upstream_bad_event", "bad_event", "estimate"),
    Row("U35", "err@2", 502, "upstream_error", "server_error", "estimate", dialects=("openai_chat",)),
    Row(
        "U35-overloaded",
        "err@2",
        503,
        "upstream_overloaded",
        "overloaded",
        "estimate",
        "cooling",
        dialects=("anthropic_messages", "native"),
    ),
    Row("U36", "hugeevent:9@2", 502, "upstream_bad_event", "event_too_large", "estimate"),
    Row("U37", "drip@2", 502, "upstream_stalled", "slow_drip", "estimate", hasty=True),
    Row("U37-total", "heartbeat@2", 502, "upstream_stalled", "slow_drip", "estimate", hasty=True),
)
