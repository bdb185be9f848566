"""docs/roles.md, made from the table the gateway itself uses: ``python -m tests.admin.roles_page`` writes it again."""

from __future__ import annotations

from pathlib import Path

from llm_gateway.core.catalog import Scope
from llm_gateway.core.roles import ROLES, SCOPES, scopes_of

PAGE = Path(__file__).resolve().parents[2] / "docs" / "roles.md"
_LETTERS = {"view": "see", "add": "add", "change": "change", "delete": "delete"}
_BEGIN, _END = "<!-- table: begin -->", "<!-- table: end -->"


def table() -> str:
    """Nouns by roles, then what a session of each role may do at the API."""
    nouns = sorted({noun for role in ROLES.values() for noun in role.rights})
    head = ["noun", *ROLES]
    lines = [_row(head), _row(["---"] * len(head))]
    for noun in nouns:
        cells = [", ".join(_LETTERS[verb] for verb in role.rights.get(noun, "").split()) for role in ROLES.values()]
        lines.append(_row([f"`{noun}`", *cells]))
    lines += ["", "At the API with a session (a client key has the scopes it was given):", "", _row(["scope", *ROLES, "permission"])]
    lines.append(_row(["---"] * (len(head) + 1)))
    for scope in Scope:
        cells = ["yes" if scope in scopes_of(role.permissions.__contains__) else "" for role in ROLES.values()]
        lines.append(_row([f"`{scope.value}`", *cells, f"`{SCOPES[scope]}`"]))
    return "\n".join(lines)


def written() -> str:
    text = PAGE.read_text(encoding="utf-8")
    return text.partition(_BEGIN)[2].partition(_END)[0].strip()


def write() -> None:
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(_BEGIN)
    PAGE.write_text(f"{before}{_BEGIN}\n{table()}\n{_END}{rest.partition(_END)[2]}", encoding="utf-8")


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    write()
