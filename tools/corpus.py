"""Real code to lint: pinned packages, downloaded into the git-ignored `.corpus/`.

    python tools/corpus.py download            # fetch and unpack what is missing
    python tools/corpus.py lint [PACKAGE ...]  # lint, print a table, write .corpus/findings.jsonl
    python tools/corpus.py show AGD101         # the findings of one code with their source, for triage

Only the `.py` files are unpacked, and nothing of a package is ever imported. (For a source distribution pip itself
runs the package's build backend to read its metadata, in an isolated environment.)
"""

from __future__ import annotations

import argparse
import ast
import json
import multiprocessing
import signal
import subprocess
import sys
import tarfile
import time
import tokenize
import traceback
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from itertools import groupby
from pathlib import Path, PurePosixPath
from types import FrameType
from typing import IO, Any, Literal, NamedTuple

from flake8_detach import rules
from flake8_detach.config import Settings
from flake8_detach.gate import gate
from flake8_detach.source import Source

CORPUS = Path(__file__).resolve().parent.parent / ".corpus"
FINDINGS = CORPUS / "findings.jsonl"


class Pin(NamedTuple):
    """One package at one version. A source distribution brings the tests and examples that a wheel leaves out."""

    name: str
    version: str
    kind: Literal["sdist", "wheel"] = "sdist"
    tags: tuple[str, ...] = ()
    """pip options that ask for a wheel of another platform (we read the files, we never import them)."""

    @property
    def folder(self) -> Path:
        """Where the package's files are unpacked."""
        return CORPUS / "src" / f"{self.name}-{self.version}"


PINS = (
    Pin("accelerate", "1.15.0"),
    Pin("botorch", "0.18.1"),
    Pin("captum", "0.9.0"),
    Pin("diffusers", "0.42.1"),
    Pin("e3nn", "0.6.0"),
    # The source distribution compiles extensions to tell its metadata; the only wheels are for Python 3.6 to 3.8.
    Pin("fairseq", "0.12.2", "wheel", ("--python-version=3.8", "--abi=cp38", "--platform=manylinux1_x86_64")),
    Pin("gpytorch", "1.15.2"),
    Pin("kornia", "0.9.0"),
    Pin("lightning", "2.6.6"),
    Pin("open_clip_torch", "3.3.0"),
    Pin("peft", "0.21.2"),
    Pin("pyro-ppl", "1.9.2"),
    Pin("skorch", "1.4.0"),
    Pin("speechbrain", "1.1.2"),
    Pin("stable-baselines3", "2.9.2"),
    Pin("tianshou", "2.0.1"),
    Pin("timm", "1.0.31"),
    Pin("torchattacks", "3.5.1", "wheel"),
    Pin("transformers", "5.23.0"),
    Pin("trl", "1.16.0"),
)


# ---------------------------------------------------------------------------------------------------------------------
# download


def download(pins: Sequence[Pin]) -> int:
    """Fetch and unpack the packages that are not there yet. Returns the number that could not be had."""
    failed = 0
    for pin in pins:
        if pin.folder.is_dir():
            continue
        try:
            files = _unpack(_fetch(pin), pin.folder)
        except (subprocess.CalledProcessError, OSError, tarfile.TarError, zipfile.BadZipFile) as error:
            failed += 1
            print(f"{pin.name} {pin.version}: {error}", file=sys.stderr)
        else:
            print(f"{pin.name} {pin.version}: {files} files")
    return failed


def _fetch(pin: Pin) -> Path:
    """The archive of a package, by pip as it is set up here. Raises subprocess.CalledProcessError."""
    folder = CORPUS / "archives" / f"{pin.name}-{pin.version}"
    option = "--no-binary=:all:" if pin.kind == "sdist" else "--only-binary=:all:"
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", option]
    subprocess.run([*command, *pin.tags, "--dest", str(folder), f"{pin.name}=={pin.version}"], check=True)
    (archive,) = (path for path in folder.iterdir() if path.is_file())
    return archive


def _unpack(archive: Path, folder: Path) -> int:
    """Write the Python files of `archive` below `folder`, whole or not at all. Returns how many there are."""
    part = folder.with_name(folder.name + ".part")
    count = 0
    for name, stream in _members(archive):
        path = PurePosixPath(name)
        if path.suffix != ".py" or path.is_absolute() or ".." in path.parts:
            continue
        target = part.joinpath(*path.parts)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(stream.read())
        count += 1
    part.rename(folder)
    return count


def _members(archive: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """The regular files of a tar.gz or a wheel."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            for item in wheel.infolist():
                if not item.is_dir():
                    yield item.filename, BytesIO(wheel.read(item))
    else:
        with tarfile.open(archive) as sdist:
            for member in sdist:
                stream = sdist.extractfile(member) if member.isreg() else None
                if stream is not None:
                    yield member.name, stream


# ---------------------------------------------------------------------------------------------------------------------
# lint


@dataclass
class Result:
    """What linting one file gave. `crash` holds a traceback or is empty; `skipped` says why nothing was tried."""

    package: str
    path: str
    lines: int = 0
    analysed: int = 0
    gate_seconds: float = 0.0
    seconds: float = 0.0
    skipped: str = ""
    crash: str = ""
    findings: list[dict[str, Any]] = field(default_factory=list)


class _TooLong(Exception):
    """A file took longer than the limit."""


def _alarm(_signal: int, _frame: FrameType | None) -> None:
    raise _TooLong


class Job(NamedTuple):
    """One file to lint and how."""

    package: str
    path: Path
    gate_only: bool
    limit: int


def lint_file(job: Job) -> Result:
    """Lint one file; a crash or a hang becomes part of the result."""
    result = Result(job.package, str(job.path.relative_to(CORPUS)))
    try:
        with tokenize.open(job.path) as stream:
            text = stream.read()
        tree = ast.parse(text)
    except (SyntaxError, UnicodeDecodeError, ValueError) as error:
        # flake8 reports E902 or E999 for these itself and calls no plugin.
        result.skipped = f"{type(error).__name__}: {error}"
        return result
    signal.signal(signal.SIGALRM, _alarm)
    signal.alarm(job.limit)
    try:
        source = Source(text, tree)
        result.lines = len(source.lines)
        start = time.perf_counter()
        chosen = gate(source, [rule for rule in rules.load().values() if rule.triggers])
        result.gate_seconds = time.perf_counter() - start
        chunks = [source.chunks[index] for index in chosen]
        if not job.gate_only:
            start = time.perf_counter()
            for finding in rules.check(source, Settings()):
                result.findings.append(
                    {
                        "package": job.package,
                        "path": result.path,
                        "line": finding.span.line,
                        "column": finding.span.column + 1,
                        "code": finding.code,
                        "message": finding.message,
                        "confidence": finding.confidence,
                        "trail": [[note.span.line, note.text] for note in finding.trail],
                    }
                )
            result.seconds = time.perf_counter() - start
            chunks = [chunk for chunk in source.chunks if chunk.looked_at]
        result.analysed = sum(chunk.last_line - chunk.first_line + 1 for chunk in chunks)
    except Exception:  # a crash is what this command looks for
        result.crash = traceback.format_exc()
    finally:
        signal.alarm(0)
    return result


def jobs_of(pins: Sequence[Pin], gate_only: bool, limit: int) -> list[Job]:
    """The files of the packages that are unpacked, in a fixed order."""
    return [Job(pin.name, path, gate_only, limit) for pin in pins for path in sorted(pin.folder.rglob("*.py"))]


def lint(pins: Sequence[Pin], processes: int, gate_only: bool, limit: int) -> int:
    """Lint the packages, print a table and write the findings. Returns the number of crashes."""
    missing = [pin.name for pin in pins if not pin.folder.is_dir()]
    if missing:
        print(f"not downloaded: {', '.join(missing)}", file=sys.stderr)
    with multiprocessing.Pool(processes) as pool:
        results = list(pool.imap(lint_file, jobs_of(pins, gate_only, limit), chunksize=4))
    print(f"{'package':<20}{'files':>7}{'lines':>9}{'analysed':>10}{'gate s':>8}{'lint s':>8}{'crashes':>9}  findings")
    for package, group in groupby(results, key=lambda result: result.package):
        print(_row(package, list(group)))
    print(_row("total", results))
    for result in results:
        if result.crash:
            print(f"\n{result.path}\n{result.crash}", file=sys.stderr)
    slowest = sorted(results, key=lambda result: -result.seconds)[:5]
    if not gate_only:
        print("\nslowest: " + ", ".join(f"{r.path} {r.seconds:.2f} s ({r.analysed} lines)" for r in slowest))
        with FINDINGS.open("w", encoding="utf-8") as stream:
            for result in results:
                for finding in result.findings:
                    stream.write(json.dumps(finding) + "\n")
    return sum(bool(result.crash) for result in results)


def _row(package: str, results: list[Result]) -> str:
    """One line of the table."""
    lines = sum(result.lines for result in results)
    share = sum(result.analysed for result in results) / max(lines, 1)
    gate_seconds = sum(result.gate_seconds for result in results)
    seconds = sum(result.seconds for result in results)
    crashes = sum(bool(result.crash) for result in results)
    codes = Counter(finding["code"] for result in results for finding in result.findings)
    found = " ".join(f"{code}:{count}" for code, count in sorted(codes.items())) or "-"
    counts = f"{package:<20}{len(results):>7}{lines:>9}{share:>10.1%}"
    return f"{counts}{gate_seconds:>8.2f}{seconds:>8.1f}{crashes:>9}  {found}"


# ---------------------------------------------------------------------------------------------------------------------
# show


def show(code: str, packages: Sequence[str], context: int) -> int:
    """Print the findings of one code, each with the lines around it and its evidence. Returns how many there are."""
    count = 0
    for text in FINDINGS.read_text(encoding="utf-8").splitlines():
        finding = json.loads(text)
        if finding["code"] != code or (packages and finding["package"] not in packages):
            continue
        count += 1
        print(f"[{count}] {finding['path']}:{finding['line']}:{finding['column']} {code} {finding['message']}")
        with tokenize.open(CORPUS / finding["path"]) as stream:
            lines = stream.read().split("\n")
        marks = {finding["line"]: ">", **{line: "*" for line, _ in finding["trail"] if line != finding["line"]}}
        for number in range(max(1, finding["line"] - context), min(len(lines), finding["line"] + context) + 1):
            print(f"  {marks.get(number, ' ')} {number:>5} {lines[number - 1]}")
        for line, note in finding["trail"]:
            print(f"    line {line}: {note}    {lines[line - 1].strip()}")
        print()
    return count


# ---------------------------------------------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one of the commands. Exit status 1 when a download failed or a file crashed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    get = commands.add_parser("download", help="fetch and unpack what is missing")
    run = commands.add_parser("lint", help="lint every file, print a table, write .corpus/findings.jsonl")
    run.add_argument("--jobs", type=int, default=2, metavar="N", help="processes (default 2)")
    run.add_argument("--gate-only", action="store_true", help="measure the gate alone")
    run.add_argument("--limit", type=int, default=120, metavar="SECONDS", help="a file that takes longer is a crash")
    see = commands.add_parser("show", help="print the findings of one code with their source")
    see.add_argument("code")
    see.add_argument("--context", type=int, default=6, metavar="LINES")
    for command in (get, run, see):
        command.add_argument("packages", nargs="*", metavar="PACKAGE", help="default: all")
    options = parser.parse_args(arguments)
    known = {pin.name for pin in PINS}
    if unknown := set(options.packages) - known:
        parser.error(f"unknown package: {', '.join(sorted(unknown))} (known: {', '.join(sorted(known))})")
    pins = [pin for pin in PINS if not options.packages or pin.name in options.packages]
    if options.command == "download":
        return 1 if download(pins) else 0
    if options.command == "lint":
        return 1 if lint(pins, options.jobs, options.gate_only, options.limit) else 0
    if not FINDINGS.is_file():
        parser.error("there are no findings yet: run the lint command first")
    print(f"{show(options.code, options.packages, options.context)} findings of {options.code}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
