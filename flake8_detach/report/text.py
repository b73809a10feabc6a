"""Plain lines for the terminal, places in flake8's own form, so that editors find them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from flake8_detach.fixes.fixer import Outcome
from flake8_detach.rules._base import Finding

HINT = "[fixable with --unsafe-fixes]"


def outcome_lines(name: str, outcome: Outcome, unsafe: bool, diff: bool) -> Iterator[str]:
    """What was fixed in the file `name` and what remains; lines and columns are those of the fixed text."""
    for finding, line, column in outcome.fixed:
        title = finding.fix.title if finding.fix else ""
        yield f"{name}:{line}:{column + 1}: {finding.code} {_fixed(diff)}: {title}"
    for finding in outcome.left:
        hint = f" {HINT}" if _is_hinted(finding, unsafe) else ""
        if diff and finding.fix is not None and finding.fix.applicability == "display":
            hint = f" [by hand: {finding.fix.title}]"
        yield f"{name}:{finding.span.line}:{finding.span.column + 1}: {finding.code} {finding.message}{hint}"


def summary(outcomes: Sequence[Outcome], unsafe: bool, diff: bool) -> Iterator[str]:
    """One line for the whole run, if there was anything."""
    fixed = sum(len(outcome.fixed) for outcome in outcomes)
    left = [finding for outcome in outcomes for finding in outcome.left]
    hinted = sum(_is_hinted(finding, unsafe) for finding in left)
    if fixed or left:
        more = f" ({hinted} fixable with --unsafe-fixes)" if hinted else ""
        yield f"{fixed} {_fixed(diff)}, {len(left)} remaining{more}."


def table(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    """`rows` in aligned columns, two spaces apart."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _fixed(diff: bool) -> str:
    return "would be fixed" if diff else "fixed"


def _is_hinted(finding: Finding, unsafe: bool) -> bool:
    return not unsafe and finding.fix is not None and finding.fix.applicability == "unsafe"
