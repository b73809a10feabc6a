"""The plugin's settings, frozen, filled from flake8's own options: .flake8, setup.cfg and tox.ini work as they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    from argparse import Namespace

Confidence = Literal["certain", "likely"]
"""`certain`: every fact that the finding rests on is proved in the file; `likely`: one of them is presumed."""

INTERNAL = "AGD000"
"""The code under which a failure of the analysis itself is reported, and only with `--agd-debug`."""

OFF_BY_DEFAULT = (INTERNAL, "AGD9")
"""Prefixes of the codes that flake8 ignores unless asked for. Written out, as the rules themselves would cost the
import of libcst in every flake8 run; a test holds them against `Rule.default`."""

CLEAN, FOUND, FAILED, INTERRUPTED = 0, 1, 2, 130
"""Exit codes of the command line: nothing to report; something was fixed or remains; wrong usage or a file that cannot
be processed; Ctrl-C."""


@dataclass(frozen=True)
class Settings:
    """How to lint.

    confidence: the least confidence that is reported (`--agd-confidence`).
    debug: report AGD000 with the traceback when the analysis of a file fails (`--agd-debug`).
    gate: skip the files and definitions that cannot yield a finding; switched off only by tests.
    selected: the prefixes that the user names in `select` and `extend-select`.
    """

    confidence: Confidence = "likely"
    debug: bool = False
    gate: bool = True
    selected: tuple[str, ...] = ()

    @classmethod
    def from_options(cls, options: Namespace) -> Settings:
        """The settings that flake8's parsed options (command line over configuration file) amount to.

        Raises ValueError on a wrong value: flake8 holds only the command line against an option's choices.
        """
        if options.agd_confidence not in get_args(Confidence):
            raise ValueError(f"agd-confidence must be one of {get_args(Confidence)}, not {options.agd_confidence!r}")
        return cls(
            confidence=options.agd_confidence,
            debug=options.agd_debug,
            selected=(*(options.select or ()), *(options.extend_select or ())),
        )

    def wants(self, code: str) -> bool:
        """Whether `code` is on: by default, or because the user selects it by name.

        flake8 forgets `extend_default_ignore` as soon as a user sets `ignore`, as most configurations do; that must
        not switch on what is off by default.
        """
        return not code.startswith(OFF_BY_DEFAULT) or code.startswith(self.selected)
