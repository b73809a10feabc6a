"""A rule's page: its docstring with the example filled in. `explain` prints it, tools/make_docs.py writes it."""

from __future__ import annotations

import inspect
import re

from flake8_detach import rules
from flake8_detach.config import INTERNAL, Settings
from flake8_detach.rules._base import Finding, Rule
from flake8_detach.source import Source

SECTIONS = (
    "What it does",
    "Why is this bad?",
    "Known problems",
    "Example",
    "Use instead",
    "Fix safety",
    "References",
)
"""The sections of a page, in order. Example and Use instead come from `Rule.example`, all others from the docstring."""

FIX_KINDS = {"safe": "safe", "unsafe": "unsafe", "display": "shown"}
"""How the kind of a fix is called in tables; `none` stands where the rule offers no fix."""


class Internal(Rule):
    """The file could not be analysed.

    ## What it does
    Reports, when `--agd-debug` is given, that the analysis of a file failed, with the last line of the traceback; the
    whole traceback goes to stderr. Without `--agd-debug` such a file is passed over in silence.

    ## Why is this bad?
    Nothing is wrong with your file, but autograd misuse in it goes unreported.

    ## Known problems
    A file that is nested too deeply for the analysis is reported here, too.
    """

    code = INTERNAL
    name = "internal"
    default = False


def catalogue() -> dict[str, Rule]:
    """All codes that flake8 can show, sorted."""
    return {INTERNAL: Internal(), **rules.load()}


def find(name: str) -> Rule | None:
    """The rule with this code, in any case, or this name."""
    known = catalogue()
    return known.get(name.upper()) or next((rule for rule in known.values() if rule.name == name.lower()), None)


def fix_kind(rule: Rule) -> str:
    """The kinds of fixes that the rule offers, in words."""
    return "/".join(FIX_KINDS[kind] for kind in rule.offers) or "none"


def lint_example(rule: Rule, program: str) -> list[Finding]:
    """What is found in a half of the rule's example with the rule switched on."""
    return rules.check(Source(program), Settings(selected=(rule.code,)))


def sections(rule: Rule) -> tuple[str, dict[str, str]]:
    """The title and the sections of a page, in order. Raises ValueError for a section that no page has."""
    title, *parts = re.split(r"^## (.*)\n", inspect.cleandoc(rule.__doc__ or ""), flags=re.MULTILINE)
    found = dict(zip(parts[::2], (part.strip() for part in parts[1::2]), strict=True))
    if hasattr(rule, "example"):
        found["Example"] = _code(rule.example.bad)
        found["Use instead"] = _code(rule.example.good)
    if unknown := found.keys() - set(SECTIONS):
        raise ValueError(f"{rule.code}: no page has the section {', '.join(sorted(unknown))}")
    return title.strip(), {name: found[name] for name in SECTIONS if name in found}


def markdown(texts: dict[str, str]) -> str:
    """Sections one below the other."""
    return "\n\n".join(f"## {name}\n\n{text}" for name, text in texts.items())


def page(rule: Rule, picture: str = "") -> str:
    """The page of `rule` in Markdown, with `picture` below its example. Raises ValueError for a section that no page
    has."""
    title, texts = sections(rule)
    if picture:
        texts["Example"] += f"\n\n{picture}"
    default = "on by default" if rule.default else f"off by default; `extend-select = {rule.code}` switches it on"
    facts = f"Code: {rule.code}, {default}. Fix: {fix_kind(rule)}."
    return "\n\n".join([f"# {rule.code}: {rule.name}", title, facts, markdown(texts)]).strip() + "\n"


def _code(program: str) -> str:
    return f"```python\n{program.strip()}\n```"
