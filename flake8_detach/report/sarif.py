"""`flake8 --format=agd-sarif`: one SARIF 2.1.0 log of the whole run, for code scanning services and viewers.

The format is that of the OASIS standard "Static Analysis Results Interchange Format"; section numbers are its own.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

from flake8_detach import __version__
from flake8_detach.fingerprint import fingerprint
from flake8_detach.report._formatter import MachineFormatter
from flake8_detach.report.page import catalogue, markdown, sections
from flake8_detach.report.places import path_in_repository, uri

if TYPE_CHECKING:
    from flake8.style_guide import Violation  # type: ignore[import-untyped]

    from flake8_detach.fixes.edits import Fix
    from flake8_detach.rules._base import Finding, Rule
    from flake8_detach.source import Span

Json = dict[str, Any]

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
ROOT = "%SRCROOT%"
"""What relative paths are relative to, by the name that code scanning services use."""


class Sarif(MachineFormatter):
    """The violations of every plug-in as results of one run, written when the run ends."""

    def start(self) -> None:
        """Nothing is written yet; flake8 would open the output file to append to it, and two logs are no log."""
        self._results: list[Json] = []
        self._seen: Counter[tuple[str, str]] = Counter()

    def handle(self, error: Violation) -> None:
        """Keep one violation as a result."""
        self._results.append(self._result(error))

    def stop(self) -> None:
        """Write the log to the output file, or to stdout, or with `--tee` to both."""
        data = (json.dumps(self._log(), indent=2) + "\n").encode()
        if self.filename:
            os.makedirs(os.path.dirname(os.path.abspath(self.filename)), exist_ok=True)
            with open(self.filename, "wb") as stream:
                stream.write(data)
        if not self.filename or self.options.tee:
            sys.stdout.buffer.write(data)

    def _log(self) -> Json:
        known = catalogue()
        codes = sorted({result["ruleId"] for result in self._results})
        for result in self._results:
            result["ruleIndex"] = codes.index(result["ruleId"])
        driver = {
            "name": "flake8-detach",
            "semanticVersion": __version__,
            "rules": [_rule(known[code]) if code in known else _foreign(code) for code in codes],
        }
        run = {
            "tool": {"driver": driver},
            "columnKind": "unicodeCodePoints",
            "newlineSequences": ["\r\n", "\n", "\r"],
            "originalUriBaseIds": {ROOT: {"description": {"text": "The root of the checked out repository."}}},
            "results": self._results,
        }
        return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}

    def _result(self, error: Violation) -> Json:
        artifact = _artifact(error.filename)
        result: Json = {
            "ruleId": error.code,
            "level": _level(error.code),
            "message": {"text": error.text},
            "locations": [{"physicalLocation": {"artifactLocation": artifact}}],
        }
        physical = result["locations"][0]["physicalLocation"]
        finding = self.files.finding(error)
        if finding is not None:
            physical["region"] = _region(finding.span)
            result.update(self._more(error.filename, artifact, finding))
        elif error.line_number > 0:  # a file that cannot be read has no line
            physical["region"] = {"startLine": error.line_number, "startColumn": max(error.column_number, 1)}
        return result

    def _more(self, name: str, artifact: Json, finding: Finding) -> Json:
        """What only a finding of ours has."""
        file = self.files.analysed(name)
        mark = fingerprint(finding.code, file.tree, file.lines, finding.span.line, finding.span.column)
        self._seen[name, mark] += 1
        more: Json = {
            "partialFingerprints": {"statement/v1": f"{mark}:{self._seen[name, mark]}"},
            "properties": {"confidence": finding.confidence},
        }
        if finding.trail:
            more["relatedLocations"] = [
                {
                    "id": number,
                    "physicalLocation": {"artifactLocation": artifact, "region": _region(note.span)},
                    "message": {"text": note.text},
                }
                for number, note in enumerate(finding.trail, 1)
            ]
        if finding.fix is not None and finding.fix.applicability != "display":  # 3.55: what a tool can apply
            more["fixes"] = [_fix(artifact, finding.fix)]
        return more


def _artifact(name: str) -> Json:
    path = uri(path_in_repository(name))
    return {"uri": path} if path.startswith("file://") else {"uri": path, "uriBaseId": ROOT}


def _region(span: Span) -> Json:
    return {
        "startLine": span.line,
        "startColumn": span.column + 1,
        "endLine": span.end_line,
        "endColumn": span.end_column + 1,
    }


def _fix(artifact: Json, fix: Fix) -> Json:
    replacements = [{"deletedRegion": _region(edit.span), "insertedContent": {"text": edit.text}} for edit in fix.edits]
    return {
        "description": {"text": f"{fix.title} ({fix.applicability})"},
        "artifactChanges": [{"artifactLocation": artifact, "replacements": replacements}],
    }


def _level(code: str) -> str:
    """AGD1nn is what PyTorch raises for."""
    return "error" if code.startswith("AGD1") else "warning"


def _rule(rule: Rule) -> Json:
    title, texts = sections(rule)
    links = re.findall(r"\]\((http[^)]+)\)", texts.get("References", ""))
    page = markdown(texts)
    return {
        "id": rule.code,
        "name": rule.name,
        "shortDescription": {"text": title},
        "fullDescription": {"text": " ".join(texts.get("What it does", title).split())},
        **({"helpUri": links[0]} if links else {}),
        "help": {"text": page, "markdown": page},
        "defaultConfiguration": {"level": _level(rule.code), "enabled": rule.default},
    }


def _foreign(code: str) -> Json:
    return {"id": code, "shortDescription": {"text": f"{code}, a report of another flake8 plug-in."}}
