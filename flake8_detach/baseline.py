"""`flake8-detach baseline`: take the reports of today's code as known, and hear of new ones only.

A report is known by its fingerprint, so that it stays known when lines move. The file of a baseline is JSON: for every
path (relative to that file) how many reports of each "CODE FINGERPRINT" there are.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from flake8_detach.batch import Trouble, distinct, each, files, trouble
from flake8_detach.config import CLEAN, FAILED, FOUND
from flake8_detach.fingerprint import fingerprint
from flake8_detach.fixes.document import Document, write
from flake8_detach.report.as_flake8 import AsFlake8

FILE = ".agd-baseline.json"
"""The file of a baseline, unless `--file` names another."""

VERSION = 1

Known = dict[str, Counter[str]]
"""By path: how often each report is known."""


class Report(NamedTuple):
    """A finding as it is printed (`line`), and what it is known by (`key`)."""

    key: str
    line: str


class Looked(NamedTuple):
    """A file and the reports in it, in order; or the trouble that there was with it."""

    name: str
    reports: tuple[Report, ...]
    trouble: Trouble | None = None


class Baseline:
    """One run of `flake8-detach baseline` with the baseline in the file `path`."""

    def __init__(self, flake8: AsFlake8, path: str) -> None:
        self._flake8 = flake8
        self._path = path
        self._root = os.path.dirname(os.path.abspath(path))
        self._failed = False

    def write(self, paths: Sequence[str]) -> int:
        """Make everything that is reported under `paths` known; what is known of other files stays."""
        try:
            old = self._read() if os.path.exists(self._path) else {}
            found, whole = self._look(paths)
            new = {key: known for key, known in old.items() if self._exists(key) and not _below(key, whole)}
            for looked in found:
                key = self._key(looked.name)
                if looked.trouble is None:
                    new[key] = Counter(report.key for report in looked.reports)
                elif key in old:
                    new[key] = old[key]
            new = {key: known for key, known in sorted(new.items()) if known}
            text = json.dumps({"version": VERSION, "files": new}, indent=2, sort_keys=True) + "\n"
            with trouble(self._path):
                if not os.path.exists(self._path):
                    open(self._path, "x").close()
                write(self._path, text.encode())
        except Trouble as error:
            return self._fail(error)
        count = sum(known.total() for known in new.values())
        print(f"{_count(count, 'report')} in {_count(len(new), 'file')} written to {self._path}.")
        return FAILED if self._failed else CLEAN

    def check(self, paths: Sequence[str]) -> int:
        """Print what is reported under `paths` and not known; tell on stderr what is known and no longer reported."""
        try:
            known = self._read()
        except FileNotFoundError:
            return self._fail(Trouble(f"{self._path}: no such baseline; `flake8-detach baseline write` makes one"))
        except Trouble as error:
            return self._fail(error)
        found, whole = self._look(paths)
        gone = {key: counts for key, counts in known.items() if not self._exists(key)}
        seen = {self._key(looked.name) for looked in found if looked.trouble is None}
        new = 0
        for looked in found:
            key = self._key(looked.name)
            # A file without a baseline may be one that was renamed: it takes what was known of those that are gone.
            pools = [known[key]] if key in known else list(gone.values())
            for report in looked.reports:
                pool = next((pool for pool in pools if pool[report.key]), None)
                if pool is None:
                    new += 1
                    print(report.line)
                else:
                    pool[report.key] -= 1
        stale = {key: known[key].total() for key in known if key in gone or key in seen or _below(key, whole)}
        self._tell_stale({key: count for key, count in stale.items() if count})
        if new:
            print(f"{_count(new, 'new report')}.")
        return FAILED if self._failed else FOUND if new else CLEAN

    def _look(self, paths: Sequence[str]) -> tuple[list[Looked], list[str]]:
        """All files under `paths`, linted; and the paths that could be followed, as the baseline calls them."""
        names: list[str] = []
        whole: list[str] = []
        seen: set[str] = set()
        for path in paths:
            try:
                names += distinct(files(self._flake8, path), seen)
                whole.append(self._key(path))
            except Trouble as error:
                self._fail(error)
        found = each(self._flake8, look, names)
        for looked in found:
            if looked.trouble is not None:
                self._fail(looked.trouble)
        return found, whole

    def _read(self) -> Known:
        """The baseline. Raises FileNotFoundError; Trouble for a file that is none."""
        try:
            with open(self._path, encoding="utf-8") as stream:
                data = json.load(stream)
            if data["version"] != VERSION:
                raise ValueError(f"its version is {data['version']}, not {VERSION}")
            return {key: Counter({mark: int(n) for mark, n in marks.items()}) for key, marks in data["files"].items()}
        except FileNotFoundError:
            raise
        except OSError as error:
            raise Trouble(f"{self._path}: {error.strerror or error}") from error
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise Trouble(f"{self._path}: not a baseline: {error!r}") from error

    def _tell_stale(self, stale: dict[str, int]) -> None:
        if stale:
            where = ", ".join(f"{key}: {count}" for key, count in stale.items())
            total = _count(sum(stale.values()), "known report")
            print(f"{total} no longer found ({where}); `flake8-detach baseline write` forgets them.", file=sys.stderr)

    def _key(self, name: str) -> str:
        """How the baseline calls a file."""
        try:
            return os.path.relpath(name, self._root).replace(os.sep, "/")
        except ValueError:  # another drive
            return os.path.abspath(name).replace(os.sep, "/")

    def _exists(self, key: str) -> bool:
        return os.path.exists(os.path.join(self._root, key))

    def _fail(self, error: Trouble) -> int:
        self._failed |= error.failed
        print(error, file=sys.stderr)
        return FAILED


def look(flake8: AsFlake8, name: str) -> Looked:
    """What flake8 would report of ours in the file `name`."""
    try:
        with trouble(name):
            with open(name, "rb") as stream:
                document = Document.decode(stream.read())
            lines, tree, findings = flake8.analyse(name, document.text)
    except Trouble as error:
        return Looked(name, (), error)
    reports = []
    for finding in findings:
        line, column = finding.span[:2]
        key = f"{finding.code} {fingerprint(finding.code, tree, lines, line, column)}"
        reports.append(Report(key, f"{name}:{line}:{column + 1}: {finding.code} {finding.message}"))
    return Looked(name, tuple(reports))


def _below(key: str, paths: Sequence[str]) -> bool:
    """Is the file one of `paths`, or in a directory of them?"""
    return any(path in (".", key) or key.startswith(f"{path}/") for path in paths)


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
