"""Runs many programs and keeps count; shrinks what disagrees."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from fuzz.author import Program, program
from fuzz.mend import mend
from fuzz.shrink import shrink
from fuzz.verdict import Disagreement, Verdict, judge

MENDS = 8
"""How often one program is repaired and run again."""


@dataclass(frozen=True)
class Failure:
    """A program on which the linter and torch disagree."""

    seed: int
    text: str
    disagreement: Disagreement

    @property
    def group(self) -> tuple[str, str, bool]:
        d = self.disagreement
        return d.kind, d.key, d.excused

    def __str__(self) -> str:
        d = self.disagreement
        kind = f"{d.kind} {d.key}{' (excused)' if d.excused else ''}"
        return f"seed {self.seed}, line {d.line}: {kind}: {d.detail}\n\n{self.text}"


@dataclass
class Campaign:
    """What came of the seeds that were run so far."""

    counts: Counter[str] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)

    def run(self, seeds: Iterable[int], seconds: float | None = None) -> Campaign:
        """Run the programs of these seeds, at most for so many seconds."""
        end = None if seconds is None else time.monotonic() + seconds
        for seed in seeds:
            if end is not None and time.monotonic() > end:
                break
            self.one(seed)
        return self

    def one(self, seed: int) -> None:
        current: Program | None = program(seed)
        self.counts["programs"] += 1
        known: set[tuple[str, str, str]] = set()
        for _ in range(MENDS):
            assert current is not None
            verdict = judge(current.text)
            self.add(seed, current.text, verdict, known)
            if verdict.outcome.error is None or verdict.outcome.line is None:
                self.counts["ran to the end"] += verdict.outcome.error is None
                return
            current = mend(current, verdict.outcome.line)
            if current is None:
                return

    def add(self, seed: int, text: str, verdict: Verdict, known: set[tuple[str, str, str]]) -> None:
        self.counts["runs"] += 1
        self.counts.update(verdict.counts)
        for disagreement in verdict.disagreements:
            told = (disagreement.kind, disagreement.key, disagreement.detail)
            if told not in known:  # the repaired program disagrees where the first one did
                known.add(told)
                self.failures.append(Failure(seed, text, disagreement))
                self.counts[
                    f"{disagreement.kind} {disagreement.key}{' (excused)' if disagreement.excused else ''}"
                ] += 1

    def of(self, kind: str, excused: bool = False) -> list[Failure]:
        return [f for f in self.failures if f.disagreement.kind == kind and f.disagreement.excused is excused]


def shrunk(failure: Failure, attempts: int = 600) -> Failure:
    """The failure with the smallest program that was found to fail in the same way."""

    def same(text: str) -> Disagreement | None:
        try:
            found = judge(text).disagreements
        except (SyntaxError, ValueError, RecursionError):
            return None
        wanted = failure.disagreement
        return next(
            (d for d in found if (d.kind, d.key) == (wanted.kind, wanted.key) and d.excused <= wanted.excused), None
        )

    text = shrink(failure.text, lambda text: same(text) is not None, attempts)
    return Failure(failure.seed, text, same(text) or failure.disagreement)


def summary(counts: Counter[str]) -> str:
    """The counts as a table: what was run, what torch raised and how much of it was reported, what is wrong."""
    lines = [
        f"{counts['programs']} programs, {counts['runs']} runs ({counts['ran to the end']} programs to the end), "
        f"{counts['facts']} facts compared at {counts['points']} statements, {counts['reports']} reports"
    ]
    for name in sorted(counts):
        if name.startswith("error ") and counts[name]:
            code = name.removeprefix("error ")
            missed, excused = counts[f"missed alarm {code}"], counts[f"missed alarm {code} (excused)"]
            share = missed / counts[name]
            lines.append(
                f"{code}: torch complains {counts[name]} times, {missed} not reported ({share:.1%}) "
                f"and {excused} behind conditions that only the run decides; "
                f"{counts[f'elsewhere {code}']} reported on another line"
            )
    lines.append(
        f"{counts['likely']} likely AGD1xx reports on lines that ran, {counts['likely confirmed']} of them confirmed"
    )
    wrong = {n: c for n, c in counts.items() if n.startswith(("false alarm", "contradiction", "crash"))}
    lines += [f"{count} x {name}" for name, count in sorted(wrong.items())] or [
        "no false alarm, no contradiction, no crash"
    ]
    return "\n".join(lines)
