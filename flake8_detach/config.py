"""The plugin's settings, frozen, filled from flake8's own options (so .flake8, setup.cfg and tox.ini work as they are)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Confidence = Literal["certain", "likely"]
"""`certain`: every fact that the finding rests on is proved in the file; `likely`: one of them is presumed."""


@dataclass(frozen=True)
class Settings:
    """How to lint.

    confidence: the least confidence that is reported (`--agd-confidence`).
    debug: report AGD000 with the traceback when the analysis of a file fails (`--agd-debug`).
    gate: skip the files and definitions that cannot yield a finding; switched off only by tests.
    """

    confidence: Confidence = "likely"
    debug: bool = False
    gate: bool = True
