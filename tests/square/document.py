"""docs/square.md, made of table.py: ``python -m tests.square.document``."""

from __future__ import annotations

from pathlib import Path

from .table import EMULATED, EXPECTED
from .walking import DIALECTS

FILE = Path(__file__).resolve().parents[2] / "docs" / "square.md"
TITLES = {
    "openai_chat": "OpenAI chat completions",
    "openai_responses": "OpenAI Responses",
    "anthropic_messages": "Anthropic Messages",
    "gemini_generate": "Gemini generateContent",
}
_HEAD = """# Any dialect to any provider

Made by `make square-table` from `tests/square/table.py`; `tests/square/test_square.py` walks every cell through a running gateway,
whole and
streamed. Rows are features, columns the format that the provider speaks.

- **passes**: it works, and the provider gets what was asked for.
- **emulated**: it works by other means, told below.
- **refused**: 400 `unsupported_parameter`, naming the field. Nothing was sent.
- –: this dialect has no word for it.

The models here are plain ones: `gpt-4.1` and `gpt-5.5` by Responses, `claude-haiku-4-5`, `gemini-3.8-flash`, and a lenient host for
chat. A model may
refuse more than its format does (Claude's fifth generation takes no `temperature`); such a refusal
names the
field, too.
"""
_TAIL = """
## What is left out without a refusal

- Hints, which change nothing in the answer: cache keys and breakpoints, `store`, `metadata`, `user` where there is no such field,
  `labels`, client
  metadata, service tiers that are the default, safety settings that only loosen filters.
- A provider's own tools (web search and the like) where functions stand beside them and nothing forces them: agents offer them to every
  model. The
  response header `x-cogo-left-out` names them. Alone or forced, they are refused.
- A wish to reason, at a model that cannot or, for Claude, beside what its thinking does not go with: a forced tool, a tool loop that
  another model began, a token limit up to 1024, sampling figures (`x-cogo-left-out: reasoning`).
- A `seed` where the provider has none, `text.verbosity` and `prediction` off OpenAI's formats,
  `truncation: "auto"`; named in the same header. So are the requests of single hosts (`provider`, `usage`, `enable_thinking` …), and
  `strict` of Claude's tools whose schema OpenAI does not hold to. Fields that are `false` or an empty list ask for nothing.
- Which earlier thoughts a model sees again (`reasoning.context`), and what an embedded text is for (`taskType`, `title`); named in
  the same header.
- Of answers: citations, grounding and annotations, logprobs, and calls of a provider's own tools reach only callers of the provider's
  own format.
- A reasoning effort the model does not take becomes the nearest one it takes (`minimal` is `low` at Fireworks).

## What crosses formats in another shape

- Names, ids and figures fit the target's limits: tool names that are too long or of another alphabet get a digest and come back whole,
  so do arguments with names that Claude refuses (`filter[id]`, `$top`),
  call ids stay unique, a long `user` becomes a stable hash, `max_output_tokens` is at least 16, service tiers are the format's own words.
- Each result of a tool stands right after its call: a missing one is filled in by a sentence, one without a call becomes the user's text.
- Schemas: what Claude refuses (`minimum`, `pattern`, `maxItems` …) is told in the description; one that it cannot hold (maps, recursion) is
  asked for in the system prompt and not checked. Tools always have `type` and `properties`; `anyOf` at the top becomes one object.
- Pictures and documents are sent as what their bytes are. Of another type than the target reads, they are refused in the newest message
  and become a note in the history. Gemini fetches public https addresses itself.
- What only one provider understands (its searches, code runs, MCP calls, files) is told as text to the others.
- Signed or encrypted thinking goes back only to the provider and model family that made it. A provider that refuses thinking in the
  history gets the request once more without any.
- `x-anthropic-billing-header`, which changes with every request of Claude Code, reaches Anthropic's format only; a session becomes
  OpenAI's `prompt_cache_key`.

## Beside generation

- Token counts come from the provider where it counts for free (Anthropic, Gemini, OpenAI), asked in its own format; elsewhere they are
  estimated.
  `x-cogo-usage-source` says `reported` or `estimated`.
- Embeddings are translated between OpenAI's and Gemini's formats: text only, `dimensions`, floats and base64. Anthropic has none.
- `/v1/responses` keeps answers itself (docs/clients.md), so `previous_response_id` works whatever the model.
"""


def render() -> str:
    parts = [_HEAD]
    for position, dialect in enumerate(DIALECTS):
        columns = " | ".join(TITLES[wire] for wire in DIALECTS)
        parts.append(f"\n## {TITLES[dialect]} as the caller's format\n\n| feature | {columns} |\n|---|---|---|---|---|\n")
        for name, rows in EXPECTED.items():
            if set(rows[position]) != {"-"}:
                parts.append(f"| {name} | {' | '.join(_cell(cell) for cell in rows[position])} |\n")
    parts.append("\n## How it is emulated\n\n")
    parts += [f"- **{name}**: {how}\n" for name, how in EMULATED.items()]
    return "".join([*parts, _TAIL])


def _cell(cell: str) -> str:
    outcome, _, field = cell.partition(" ")
    return "–" if cell == "-" else f"refused: `{field}`" if outcome == "refused" else cell


if __name__ == "__main__":
    FILE.write_text(render(), encoding="utf-8")
