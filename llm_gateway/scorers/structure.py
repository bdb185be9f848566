"""What can be told of every answer without reading its code: did it end, is it what was asked for, is it whole."""

from __future__ import annotations

import json
import re

from . import scorers
from ._base import Cost, Facts, Finding, Kind, Probes, Scorer, Verdict, deducted
from ._blocks import NEAR
from ._schema import fault

# Words that stand where code should, in a comment of a block: prose may speak of them.
_LEFT_OUT = re.compile(
    r"(?://|#|/\*|<!--|--|\"\"\"|;).{0,24}?(?:"
    r"\brest (?:of )?(?:the |your |this )?(?:\w+ ){0,3}(?:is |are |remains? |stays? )?"
    r"(?:unchanged|the same|as before|as is|omitted|goes here)"
    r"|\brest of (?:the |your |this )?(?:\w+ )?(?:code|file|function|class|implementation|logic|methods?|program)\b"
    r".{0,12}(?:here|remains|\.\.\.|…|\W*$)"
    r"|\b(?:existing|remaining|previous|other|same) (?:\w+ ){0,3}(?:code|methods?|functions?|fields?|imports?|logic)"
    r" ?(?:here|goes here|unchanged|as before|as above|remains?\b|\.\.\.|…)"
    r"|(?:\.\.\.|…) ?(?:the )?(?:existing|remaining|previous|other|same|rest)\b"
    r"|\b(?:your|actual|real|more) (?:code|logic|implementation)(?: goes)? here"
    r"|\b(?:implement(?:ation)?|code|logic) (?:goes )?here"
    r"|\bto" r"do[:\s]+(?:implement|add|write|complete|fill)"
    r"|\b(?:remains?|stays?) unchanged\W*$)"
)  # fmt: skip
# One of these stands in each of them: to look for words is cheap, to try the pattern on every line is not.
_HINTS = ("rest", "existing", "remaining", "previous", "other", "same", " here", "todo", "unchanged")
_ENDED_SHORT = {"length": "the answer reached its token limit", "model_fault": "the model broke off", "content_filter": "a filter cut it"}
_WANTS_CODE = {"generate", "complete", "refactor", "test", "debug", "optimize"}
_REPEATS = 6


class Structure:
    """End reason, asked language, closed fences, valid JSON and tool arguments, no placeholder, no loop."""

    name = "structure"
    title = "Structure"
    summary = "The answer ended by itself, is in the language asked for, and nothing in it is left open or left out."
    version = 1
    kind: Kind = "structure"
    cost: Cost = "inline"

    def applies(self, facts: Facts) -> bool:
        return True

    def score(self, text: str, facts: Facts, probes: Probes) -> Verdict:
        found: list[Finding] = []
        cut = facts.cut or facts.finish in _ENDED_SHORT
        if cut:
            found.append(Finding(rule="cut", severity="high", message=f"Not finished: {_ENDED_SHORT.get(facts.finish, 'it broke off')}."))
        empty = not facts.calls and not text.strip()
        if empty and facts.finish != "refusal":
            found.append(Finding(rule="empty", severity="high", message="There is no answer."))
        if facts.finish == "refusal":
            return Verdict()  # the model declined: nothing is known of how well it would have written
        found += (*_open(facts), *_language(facts), *_placeholders(facts), *_json(text, facts), *_arguments(facts))
        if (line := _loop(text)) is not None:
            found.append(Finding(rule="loop", severity="high", line=line, message="The text repeats itself to its end."))
        return Verdict(value=deducted(found), findings=tuple(found[:20]), caps=cut or empty)


def _open(facts: Facts) -> list[Finding]:
    last = facts.blocks[-1] if facts.blocks else None
    if last is None or last.closed:
        return []
    return [Finding(rule="open_fence", severity="high", block=len(facts.blocks), message="The last code block is never closed.")]


def _language(facts: Facts) -> list[Finding]:
    if not facts.asked or facts.bare:
        return []
    tagged = [block.language for block in facts.blocks if block.language not in ("", "text", "bash", "json", "toml", "yaml")]
    if facts.asked in tagged or any((facts.asked, one) in NEAR for one in tagged):
        return []
    if tagged:
        return [Finding(rule="wrong_language", severity="high", message=f"Asked for {facts.asked}, got {tagged[0]}.")]
    if not facts.blocks and facts.task_type.lower() in _WANTS_CODE and not facts.wants_json and not facts.calls:
        return [Finding(rule="no_code", severity="medium", message="Code was asked for and no block of code came.")]
    return []


def _placeholders(facts: Facts) -> list[Finding]:
    for number, block in enumerate(facts.blocks, 1):
        code = block.code.lower()
        if block.language == "text" or not any(hint in code for hint in _HINTS):
            continue
        for line, content in enumerate(code.splitlines(), 1):
            if any(hint in content for hint in _HINTS) and _LEFT_OUT.search(content[:500]):
                return [Finding(rule="placeholder", severity="high", block=number, line=line, message="Code is left out here.")]
    return []


def _json(text: str, facts: Facts) -> list[Finding]:
    if not facts.wants_json or facts.cut or not text.strip():
        return []
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return [Finding(rule="bad_json", severity="high", message="JSON was asked for and the text is none.")]
    if facts.schema is not None and (wrong := fault(value, facts.schema)) is not None:
        return [Finding(rule="bad_json", severity="high", message=f"Not what the schema says: {wrong}.")]
    return []


def _arguments(facts: Facts) -> list[Finding]:
    found = []
    for name, arguments in facts.calls:
        if facts.tools is not None and name not in facts.tools:
            found.append(Finding(rule="bad_arguments", severity="high", message=f"There is no tool `{name[:60]}`."))
            continue
        try:
            value = json.loads(arguments) if arguments.strip() else {}
        except (ValueError, RecursionError):
            found.append(Finding(rule="bad_arguments", severity="high", message=f"The arguments of `{name[:60]}` are no JSON."))
            continue
        schema = (facts.tools or {}).get(name)
        if schema is not None and (wrong := fault(value, schema)) is not None:
            found.append(Finding(rule="bad_arguments", severity="high", message=f"The arguments of `{name[:60]}`: {wrong}."))
    return found


def _loop(text: str) -> int | None:
    """The line from which on the text says one thing again and again to its end; ``None``: it does not."""
    tail = text[-4000:].rstrip()
    if len(tail) < 240:
        return None
    # The distance to where its last characters stood before is the length of what repeats.
    end = tail[-40:]
    before = tail.rfind(end, 0, len(tail) - 1)
    if before < 0:
        return None
    period = len(tail) - 40 - before
    needed = max(period * _REPEATS, 200)
    if period < 4 or needed > len(tail) or len(set(tail[-period:])) < 4:
        return None  # a rule of dashes or a row of blanks is no loop
    if tail[-needed:-period] != tail[-needed + period :]:
        return None
    return text.count("\n", 0, max(0, len(text.rstrip()) - needed)) + 1


structure: Scorer = scorers.add("structure", Structure())
