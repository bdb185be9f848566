"""lizard: the functions of a snippet with their complexity and length."""

from __future__ import annotations

LONGEST = 256 << 10
_SUFFIXES = {
    "python": "py", "javascript": "js", "typescript": "ts", "go": "go", "java": "java", "rust": "rs", "c": "c", "cpp": "cpp",
    "csharp": "cs", "ruby": "rb", "php": "php", "swift": "swift", "kotlin": "kt", "scala": "scala",
}  # fmt: skip


def measure(language: str, code: str) -> tuple[tuple[str, int, int, int], ...] | None:
    """(name, line, cyclomatic complexity, lines) of each function; ``None``: not measured."""
    suffix = _SUFFIXES.get(language)
    if suffix is None or len(code) > LONGEST:
        return None
    try:
        import lizard  # type: ignore[import-not-found,import-untyped,unused-ignore]  # an extra
    except ImportError:
        return None
    try:
        read = lizard.analyze_file.analyze_source_code(f"snippet.{suffix}", code)
    except Exception:  # a parser of 20 languages, fed with anything: whatever it raises, nothing is known
        return None
    return tuple((one.name[:100], one.start_line, one.cyclomatic_complexity, one.nloc) for one in read.function_list[:500])
