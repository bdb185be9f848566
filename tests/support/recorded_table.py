"""At the end of a run with recorded traffic: provider × kind × passed."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

_CASE = re.compile(r"test_recorded[^\[]*\[(?P<provider>[a-z-]+)/(?P<kind>[a-z-]+)/(?P<name>.+)\]$")


def pytest_terminal_summary(terminalreporter: Any) -> None:
    exchanges: dict[tuple[str, str], set[str]] = {}
    checks: Counter[tuple[str, str]] = Counter()
    passed: Counter[tuple[str, str]] = Counter()
    for outcome in ("passed", "failed", "error"):
        for report in terminalreporter.stats.get(outcome, ()):
            match = _CASE.search(getattr(report, "nodeid", ""))
            if match is None:
                continue
            key = (match["provider"], match["kind"])
            exchanges.setdefault(key, set()).add(re.sub(r"-(?:openai|anthropic|gemini)_[a-z]+$", "", match["name"]))
            checks[key] += 1
            passed[key] += outcome == "passed"
    if not checks:
        return
    terminalreporter.section("recorded traffic")
    terminalreporter.line(f"{'provider':<20}{'kind':<20}{'exchanges':>10}{'checks':>10}{'passed':>10}")
    for key in sorted(checks):
        terminalreporter.line(f"{key[0]:<20}{key[1]:<20}{len(exchanges[key]):>10}{checks[key]:>10}{passed[key]:>10}")
    total = sum(len(found) for found in exchanges.values())
    terminalreporter.line(f"{'all':<40}{total:>10}{sum(checks.values()):>10}{sum(passed.values()):>10}")
