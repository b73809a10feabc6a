"""flake8's own answers, asked in-process: which files it would lint, and what of our findings it would report there.

flake8 reads its configuration, options and plug-ins exactly as it does for a lint; its FileProcessor and its style
guide then decide about select, ignore, per-file-ignores, noqa and exclude. Only the other plug-ins do not run. As the
text is handed over, a fix can be judged before it is written to disk.
"""

from __future__ import annotations

import ast
import io
import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from flake8.discover_files import expand_paths  # type: ignore[import-untyped]
from flake8.exceptions import ExecutionError  # type: ignore[import-untyped]
from flake8.options.parse_args import parse_args  # type: ignore[import-untyped]
from flake8.processor import FileProcessor  # type: ignore[import-untyped]
from flake8.style_guide import StyleGuideManager  # type: ignore[import-untyped]

from flake8_detach.report.relint import Analysed, analyse

if TYPE_CHECKING:
    from flake8_detach.rules._base import Finding

__all__ = ["AsFlake8", "ExecutionError"]


class AsFlake8:
    """flake8 with the configuration of the working directory.

    Raises flake8's ExecutionError for a broken configuration or plug-in, SystemExit (2) for a wrong option.
    """

    def __init__(self, options: Sequence[str]) -> None:
        self.argv = tuple(options)
        _, self._options = parse_args(options)
        if not hasattr(self._options, "agd_confidence"):
            raise ExecutionError("flake8 does not know its plug-in flake8-detach: is the package installed?")
        self._guide = StyleGuideManager(self._options, _Silent())
        self.stdin_name: str = self._options.stdin_display_name

    @property
    def jobs(self) -> int:
        """How many processes `--jobs` asks for; `auto` is one for each processor that we may use."""
        jobs = self._options.jobs
        if not jobs.is_auto:
            return int(jobs.n_jobs)
        usable = getattr(os, "sched_getaffinity", None)  # not on every system
        return len(usable(0)) if usable else os.cpu_count() or 1

    def files(self, path: str) -> list[str]:
        """What `flake8 path` would lint, sorted. A path that does not exist counts as a file."""
        return sorted(self._expand(path, (*self._options.exclude, *self._options.extend_exclude)))

    def has_python(self, directory: str) -> bool:
        """Whether there is anything to lint in `directory` but for the user's `exclude`."""
        return next(self._expand(directory, ()), None) is not None

    def lint(self, name: str, text: str) -> list[Finding]:
        """Our findings in `text` that flake8 would report if that were the content of the file `name`.

        Raises what `analyse` raises.
        """
        return self.analyse(name, text).findings

    def analyse(self, name: str, text: str) -> Analysed:
        """`text` as flake8 reads it, and the findings that flake8 would report. Raises what `relint.analyse` does."""
        lines = io.StringIO(text, newline=None).readlines()  # flake8 reads \r\n and \r as \n, too
        processor = FileProcessor(name, self._options, lines)
        if processor.should_ignore_file():
            return Analysed(lines, ast.Module(body=[], type_ignores=[]), [])
        analysed = analyse(processor)
        with self._guide.processing_file(name):
            return analysed._replace(findings=[f for f in analysed.findings if self._reports(f, name, processor)])

    def _reports(self, finding: Finding, name: str, processor: FileProcessor) -> bool:
        line = finding.span.line
        noqa_line = processor.noqa_line_for(line)
        column = finding.span.column
        return bool(self._guide.handle_error(finding.code, name, line, column, finding.message, noqa_line))

    def _expand(self, path: str, exclude: Sequence[str]) -> Iterator[str]:
        found: Iterator[str] = expand_paths(
            paths=[path],
            stdin_display_name=self.stdin_name,
            filename_patterns=self._options.filename,
            exclude=exclude,
        )
        return found


class _Silent:
    """A formatter that prints nothing: only the style guide's decisions are wanted."""

    def beginning(self, filename: str) -> None:
        """A file begins."""

    def finished(self, filename: str) -> None:
        """A file ends."""

    def handle(self, error: object) -> None:
        """An error passes through."""
