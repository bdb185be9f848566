"""Plausible code and prose, by language. ``{name}`` is a word taken from the prompt, ``{Name}`` its capitalised form."""

from __future__ import annotations

import re

LANGUAGES: dict[str, tuple[str, ...]] = {
    "python": (
        'from dataclasses import dataclass\n\n\n@dataclass(frozen=True)\nclass {Name}:\n    """One {name} record."""\n\n'
        "    id: int\n    label: str\n\n\ndef load_{name}(rows: list[dict]) -> list[{Name}]:\n"
        '    """Turns raw rows into records; rows without an id are skipped."""\n'
        '    return [{Name}(row["id"], row.get("label", "")) for row in rows if "id" in row]\n',
        "def {name}(items: list[int], limit: int = 10) -> list[int]:\n"
        '    """Returns at most ``limit`` of the items, smallest first, without duplicates."""\n'
        "    if limit <= 0:\n        return []\n    return sorted(set(items))[:limit]\n\n\n"
        "def test_{name}() -> None:\n    assert {name}([3, 1, 3, 2], 2) == [1, 2]\n",
    ),
    "typescript": (
        "export interface {Name}Props {\n  items: string[];\n  onSelect?: (item: string) => void;\n}\n\n"
        "export function {Name}({ items, onSelect }: {Name}Props) {\n  return (\n    <ul>\n"
        "      {items.map((item) => (\n        <li key={item} onClick={() => onSelect?.(item)}>{item}</li>\n"
        "      ))}\n    </ul>\n  );\n}\n",
        "export async function fetch{Name}(id: string, signal?: AbortSignal): Promise<{Name}> {\n"
        "  const response = await fetch(`/api/{name}/${encodeURIComponent(id)}`, { signal });\n"
        "  if (!response.ok) {\n    throw new Error(`{name} ${id}: ${response.status}`);\n  }\n"
        "  return (await response.json()) as {Name};\n}\n",
    ),
    "javascript": (
        "export function {name}(items, size = 10) {\n  const pages = [];\n"
        "  for (let i = 0; i < items.length; i += size) {\n    pages.push(items.slice(i, i + size));\n  }\n"
        "  return pages;\n}\n",
        "const {name} = (fn, wait = 250) => {\n  let timer;\n  return (...args) => {\n    clearTimeout(timer);\n"
        "    timer = setTimeout(() => fn(...args), wait);\n  };\n};\n\nmodule.exports = { {name} };\n",
    ),
    "go": (
        'package {name}\n\nimport (\n\t"context"\n\t"fmt"\n)\n\ntype {Name} struct {\n\tID    int\n\tLabel string\n}\n\n'
        "func Load(ctx context.Context, ids []int) ([]{Name}, error) {\n\tout := make([]{Name}, 0, len(ids))\n"
        '\tfor _, id := range ids {\n\t\tif err := ctx.Err(); err != nil {\n\t\t\treturn nil, fmt.Errorf("load: %w", err)\n'
        "\t\t}\n\t\tout = append(out, {Name}{ID: id})\n\t}\n\treturn out, nil\n}\n",
    ),
    "rust": (
        "use std::collections::HashMap;\n\n#[derive(Debug, Default)]\npub struct {Name} {\n    counts: HashMap<String, usize>,\n}\n\n"
        "impl {Name} {\n    pub fn add(&mut self, word: &str) {\n        *self.counts.entry(word.to_owned()).or_insert(0) += 1;\n"
        "    }\n\n    pub fn top(&self) -> Option<(&String, &usize)> {\n        self.counts.iter().max_by_key(|(_, n)| **n)\n    }\n}\n",
    ),
    "java": (
        "public final class {Name}Service {\n    private final {Name}Repository repository;\n\n"
        "    public {Name}Service({Name}Repository repository) {\n        this.repository = repository;\n    }\n\n"
        "    public Optional<{Name}> find(long id) {\n        if (id <= 0) {\n            return Optional.empty();\n        }\n"
        "        return repository.findById(id);\n    }\n}\n",
    ),
    "sql": (
        "SELECT c.id,\n       c.name,\n       COUNT(o.id) AS {name}_count,\n       SUM(o.total) AS {name}_total\n"
        "FROM customers AS c\nLEFT JOIN orders AS o ON o.customer_id = c.id\nWHERE o.created_at >= :since\n"
        "GROUP BY c.id, c.name\nHAVING COUNT(o.id) > 0\nORDER BY {name}_total DESC\nLIMIT 50;\n",
    ),
    "html": (
        '<section class="{name}">\n  <h2>{Name}</h2>\n  <form method="post">\n    <label for="q">Search</label>\n'
        '    <input id="q" name="q" type="search" required>\n    <button type="submit">Go</button>\n  </form>\n</section>\n',
    ),
    "bash": (
        '#!/usr/bin/env bash\nset -euo pipefail\n\n{name}() {\n  local dir="${1:?directory}"\n'
        '  find "$dir" -type f -name "*.log" -mtime +7 -print -delete\n}\n\n{name} "$@"\n',
    ),
}

HINTS: tuple[tuple[str, str], ...] = (
    (r"\btypescript\b|\btsx?\b|\breact\b|\bangular\b|\bnext\.?js\b", "typescript"),
    (r"\bjavascript\b|\bnode(\.?js)?\b|\bvue\b|\bexpress\b", "javascript"),
    (r"\bgolang\b|\bin go\b|\bgo (function|code|program|service)\b", "go"),
    (r"\brust\b", "rust"),
    (r"\bjava\b|\bspring\b|\bkotlin\b", "java"),
    (r"\bsql\b|\bpostgres(ql)?\b|\bquery\b", "sql"),
    (r"\bhtml\b|\bcss\b", "html"),
    (r"\bbash\b|\bshell\b", "bash"),
    (r"\bpython\b|\bdjango\b|\bflask\b|\bfastapi\b|\bpytest\b", "python"),
)
CODE_WORDS = re.compile(
    r"\b(code|function|class|implement|component|script|api|endpoint|refactor|method|module|algorithm|program|unit test|sql)\b",
    re.IGNORECASE,
)
_HINTS = tuple((re.compile(pattern, re.IGNORECASE), language) for pattern, language in HINTS)

INTROS = (
    "Here is a small implementation that covers the request.",
    "This version keeps the interface narrow and checks its input first.",
    "The following does what you asked, with the edge cases handled.",
    "A straightforward solution, easy to test:",
)
OUTROS = (
    "It runs in linear time and has no dependencies beyond the standard library.",
    "Add a test for the empty input before you ship it.",
    "If the data grows, move the sorting into the database.",
    "Tell me if you want this split into smaller pieces.",
)
SENTENCES = (
    "The request is clear, so here is the short answer first.",
    "Start with the simplest design that satisfies the constraints and measure before you change it.",
    "Keep the parts that change often away from the parts that must stay stable.",
    "A cache helps only when the same question is asked twice within its lifetime.",
    "Failures should be visible at the edge where they happen and handled once.",
    "Timeouts belong to the caller, retries to the one who knows whether a repeat is safe.",
    "Write the test that would have caught the last defect, then fix the defect.",
    "Names are the cheapest documentation, and the first to be read.",
    "When two components must agree, let one of them own the agreement.",
    "That covers the main points; the details depend on your data.",
)


def language_of(prompt: str) -> str | None:
    """The programming language a prompt asks for; python when it asks for code in none; None for prose."""
    for hint, language in _HINTS:
        if hint.search(prompt):
            return language
    return "python" if CODE_WORDS.search(prompt) else None
