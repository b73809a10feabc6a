"""Short programs as people write them, by theme: torch runs each, and the linter must not disagree with anything.

A pattern is a piece between two lines `---` of a file in `patterns/`, on top of the names in `patterns/header.txt`.
Unlike a fixture it says nothing of what is to be reported; like a random program it is judged by the run.
"""

from __future__ import annotations

from pathlib import Path

import oracle_present  # noqa: F401  (first: the others need torch)
import pytest

from fuzz.verdict import judge

pytestmark = pytest.mark.truth

PATTERNS = Path(__file__).parent / "patterns"
HEADER = (PATTERNS / "header.txt").read_text(encoding="utf-8")
PROGRAMS = {
    f"{path.stem}-{number}": text
    for path in sorted(PATTERNS.glob("*.txt"))
    if path.stem != "header"
    for number, text in enumerate(path.read_text(encoding="utf-8").split("---\n"))
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", PROGRAMS)
def test_torch_and_the_linter_agree(name: str) -> None:
    found = [d for d in judge(HEADER + PROGRAMS[name]).disagreements if not d.excused]
    assert not found, f"{found}\n\n{PROGRAMS[name]}"


def test_there_are_patterns() -> None:
    assert len(PROGRAMS) > 400
