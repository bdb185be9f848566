"""The figures of the house as docs/house.md shows them: `python -m tests.architecture.figures`."""

from __future__ import annotations

import ast
import io
import statistics
import sys
import tokenize
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from .test_rules_of_the_house import texts

PACKAGES = ("cogo/", "llm_gateway/", "analytics/")
LONGEST_FUNCTION, LONGEST_PROSE = 60, 100


def sources() -> list[tuple[str, str]]:
    return [(name, text) for name, text in texts() if name.endswith(".py") and name.startswith(PACKAGES) and "/migrations/" not in name]


def spread(values: list[int]) -> str:
    ordered = sorted(values)
    return f"{statistics.median(ordered):.0f} / {ordered[len(ordered) * 9 // 10]} / {ordered[-1]}"


def comments(text: str) -> list[tuple[int, str]]:
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return [(token.start[0], token.string) for token in tokens if token.type == tokenize.COMMENT]


def functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def length(node: ast.AST) -> int:
    return (node.end_lineno or 0) - node.lineno + 1  # type: ignore[attr-defined]  # of a statement, which has both


def prose(text: str, tree: ast.Module) -> Iterator[str]:
    """Lines of docstrings, and lines that are a comment alone."""
    lines = text.splitlines()
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and ast.get_docstring(node, clean=False):
            first = node.body[0]
            yield from lines[first.lineno - 1 : first.end_lineno]
    yield from (line for line in lines if line.lstrip().startswith("#"))


def imports(name: str, tree: ast.Module) -> Iterator[str]:
    """The modules that a module imports when it is loaded, not under TYPE_CHECKING."""
    package = name.removesuffix("/__init__.py").removesuffix(".py").split("/")
    here = package if name.endswith("__init__.py") else package[:-1]
    for node in tree.body:
        if isinstance(node, ast.ImportFrom):
            base = here[: len(here) - node.level + 1] if node.level else []
            path = [*base, *(node.module.split(".") if node.module else [])]
            yield from (".".join([*path, alias.name]) for alias in node.names)
            yield ".".join(path)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Modules that reach each other (Tarjan), without packages that import their own members to register them."""
    found: list[list[str]] = []
    number: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []

    def visit(one: str) -> None:
        number[one] = low[one] = len(number)
        stack.append(one)
        for other in graph[one]:
            if other not in number:
                visit(other)
                low[one] = min(low[one], low[other])
            elif other in stack:
                low[one] = min(low[one], number[other])
        if low[one] == number[one]:
            at = stack.index(one)
            if len(ring := stack[at:]) > 1:
                found.append(sorted(ring))
            del stack[at:]

    for one in graph:
        if one not in number:
            visit(one)
    return found


def room(name: str) -> str:
    return str(Path(name).parent)


def main() -> None:
    files = sources()
    trees = {name: ast.parse(text) for name, text in files}
    all_functions = [node for tree in trees.values() for node in functions(tree)]
    long = [(name, node.name, length(node)) for name, tree in trees.items() for node in functions(tree) if length(node) > LONGEST_FUNCTION]
    lines = sum(text.count("\n") for _, text in files)
    remarks = {name: len(comments(text)) for name, text in files}
    written = [line for name, text in files for line in prose(text, trees[name])]
    wide = sum(len(line) > LONGEST_PROSE for line in written)
    tests = sum(text.count("\n") for name, text in texts() if name.startswith("tests/") and name.endswith(".py"))
    modules = {name.removesuffix("/__init__.py").removesuffix(".py").replace("/", "."): name for name, _ in files}
    graph = {
        module: {
            other for other in imports(name, trees[name]) if other in modules and other != module and not module.startswith(other + ".")
        }
        for module, name in modules.items()
    }
    rooms = Counter(room(name) for name, _ in files if not name.endswith("__init__.py"))
    of_room = {
        part: 100
        * sum(count for name, count in remarks.items() if name.startswith(part))
        / sum(text.count("\n") for name, text in files if name.startswith(part))
        for part in ("llm_gateway/engine/", "llm_gateway/stores/")
    }
    shown = [
        f"files                        {len(files)}, {lines} lines",
        f"file, median / p90 / max     {spread([text.count(chr(10)) for _, text in files])} lines",
        f"function, median / p90 / max {spread([length(node) for node in all_functions])} lines, of {len(all_functions)}",
        f"functions above {LONGEST_FUNCTION}           {len(long)} {long or ''}",
        f"comments per 100 lines       {100 * sum(remarks.values()) / lines:.1f}",
        *(f"  {part:<27}{share:.1f}" for part, share in of_room.items()),
        f"prose wider than {LONGEST_PROSE}        {wide} of {len(written)} lines, {100 * wide / len(written):.1f} %",
        f"tests : code                 {tests / lines:.2f}",
        f"modules per room, above 20   {[(name, count) for name, count in rooms.most_common() if count > 20]}",
        f"circles at import            {circles(graph)}",
    ]
    sys.stdout.write("\n".join(shown) + "\n")


if __name__ == "__main__":
    main()
