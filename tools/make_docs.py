#!/usr/bin/env python3
"""Write docs/rules/AGDnnn.md, pictures and all, and the table of codes in README.md from the rules themselves.

usage: make_docs.py [--check]

With --check nothing is written; exit code 1 says that something is out of date, and stderr what.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from flake8_detach.report.example_graph import example_graph
from flake8_detach.report.page import catalogue, fix_kind, page
from flake8_detach.rules._base import Rule

ROOT = Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- rules:begin -->", "<!-- rules:end -->"


def rule_page(rule: Rule) -> str:
    """The page of a rule with the graph of its example and links to its fixtures."""
    parts = [page(rule, example_graph(rule) if hasattr(rule, "example") else "")]
    folder = ROOT / "fixtures" / rule.code
    for title, pattern in (("Reported", "bad_*.py"), ("Silent", "ok_*.py")):
        names = sorted(path.name for path in folder.glob(pattern) if not path.name.endswith(".fixed.py"))
        if names:
            links = "\n".join(f"- [{name}](../../fixtures/{rule.code}/{name})" for name in names)
            parts.append(f"## {title} in the tests\n\n{links}\n")
    return "\n".join(parts)


def readme_table(rules: list[Rule]) -> str:
    """The table of codes in Markdown."""
    rows = ["| code | name | reports | default | fix |", "|---|---|---|---|---|"]
    for rule in rules:
        link = f"[{rule.code}](docs/rules/{rule.code}.md)"
        summary = rule.summary().replace("|", "\\|")
        rows.append(f"| {link} | {rule.name} | {summary} | {'on' if rule.default else 'off'} | {fix_kind(rule)} |")
    return "\n".join(rows)


def with_table(readme: str, table: str) -> str:
    """The README with `table` between the markers. Raises ValueError when it does not have each marker once."""
    if readme.count(BEGIN) != 1 or readme.count(END) != 1:
        raise ValueError(f"README.md must have one {BEGIN} and one {END}")
    pattern = re.compile(f"{re.escape(BEGIN)}.*{re.escape(END)}", re.DOTALL)
    return pattern.sub(lambda _: f"{BEGIN}\n{table}\n{END}", readme)


def main(argv: list[str] | None = None) -> int:
    """Write the files, or compare them; returns the exit code."""
    parser = argparse.ArgumentParser(description="Write docs/rules and the table of codes in README.md.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when something is out of date")
    check = parser.parse_args(argv).check
    rules = list(catalogue().values())
    pages = ROOT / "docs" / "rules"
    wanted: dict[Path, str | None] = dict.fromkeys(pages.glob("*.md"))  # None: to be deleted
    wanted |= {pages / f"{rule.code}.md": rule_page(rule) for rule in rules}
    readme = ROOT / "README.md"
    wanted[readme] = with_table(readme.read_text(encoding="utf-8"), readme_table(rules))
    stale = [
        path for path, text in wanted.items() if text != (path.read_text(encoding="utf-8") if path.exists() else None)
    ]
    for path in stale:
        print(f"{path.relative_to(ROOT)}: {'out of date' if check else 'written'}", file=sys.stderr)
        text = wanted[path]
        if check:
            continue
        if text is None:
            path.unlink()
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
