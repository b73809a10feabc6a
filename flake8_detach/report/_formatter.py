"""What our formatters share: the finding behind a violation, and nothing between the lines of the format."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from flake8.formatting.base import BaseFormatter  # type: ignore[import-untyped]

from flake8_detach.report.relint import Files

if TYPE_CHECKING:
    from flake8.style_guide import Violation  # type: ignore[import-untyped]


class Formatter(BaseFormatter):  # type: ignore[misc]
    """Base of the formats. `self.files` knows the findings behind the violations."""

    def after_init(self) -> None:
        """flake8's hook after its own `__init__`."""
        self.files = Files(self.options)

    def show_source(self, error: Violation) -> None:
        """Nothing: `--show-source` would put a line of Python between lines of the format."""


class MachineFormatter(Formatter):
    """Base of the formats that a program reads: what else flake8 has to say goes to stderr."""

    def show_statistics(self, statistics: Any) -> None:
        """Print the statistics, for which the format has no place, to stderr."""
        for code in statistics.error_codes():
            found = list(statistics.statistics_for(code))
            print(f"{sum(one.count for one in found):<5} {code} {found[0].message}", file=sys.stderr)

    def show_benchmarks(self, benchmarks: list[tuple[str, float]]) -> None:
        """Print the benchmarks, for which the format has no place, to stderr."""
        for name, value in benchmarks:
            print(f"{value:<10.3f} {name}", file=sys.stderr)
