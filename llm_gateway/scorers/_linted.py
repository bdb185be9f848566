"""A verdict from what ruff found."""

from __future__ import annotations

from collections.abc import Callable

from ._base import MOST_FINDINGS, Finding, Probes, Verdict, deducted


def verdict(probes: Probes, of_this_kind: Callable[[Finding], bool]) -> Verdict:
    """``None`` where ruff ran on no block. Each rule counts once per block: ten unused imports are one fault."""
    ran = [found for found in probes.linted if found is not None]
    if not ran:
        return Verdict()
    mine = [finding for found in ran for finding in found if of_this_kind(finding)]
    seen: dict[tuple[str, int | None], Finding] = {}
    for finding in mine:
        seen.setdefault((finding.rule, finding.block), finding)
    return Verdict(value=deducted(list(seen.values())), findings=tuple(mine[:MOST_FINDINGS]))
