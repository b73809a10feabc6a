"""What is shipped: contents and metadata of wheel and sdist, the entry points, and a README whose output is real."""

from __future__ import annotations

import email
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from email.message import Message
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import NamedTuple

import pytest
from conftest import ROOT, Command, project_files

import flake8_detach
from flake8_detach.cli import main
from flake8_detach.plugin import Plugin
from flake8_detach.report.json_lines import JsonLines

README = (ROOT / "README.md").read_text(encoding="utf-8")


# The distributions


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a wheel and an sdist, just built."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Iterator[zipfile.ZipFile]:
    with zipfile.ZipFile(next(dist.glob("*.whl"))) as archive:
        yield archive


@pytest.fixture(scope="module")
def metadata(wheel: zipfile.ZipFile) -> Message:
    return email.message_from_bytes(member(wheel, "METADATA"))


def member(wheel: zipfile.ZipFile, name: str) -> bytes:
    """A file of the wheel's dist-info."""
    return wheel.read(f"flake8_detach-{flake8_detach.__version__}.dist-info/{name}")


def files(*folders: str) -> set[str]:
    """The names that the files of these folders have in an archive."""
    return {path.relative_to(ROOT).as_posix() for folder in folders for path in project_files(folder)}


def test_the_wheel_holds_the_package_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    shipped = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert shipped == files("flake8_detach")
    assert {"flake8_detach/py.typed", "flake8_detach/knowledge/ops.json"} <= shipped


def test_the_sdist_holds_what_the_tests_need(dist: Path) -> None:
    with tarfile.open(next(dist.glob("*.tar.gz"))) as archive:
        shipped = {name.partition("/")[2] for name in archive.getnames()}
    wanted = files("flake8_detach", "docs", "fixtures", "tests", "tools")
    top = {
        ".ci/run",
        ".pre-commit-hooks.yaml",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "LICENSE",
        "README.md",
        "pyproject.toml",
    }
    assert wanted | top <= shipped
    assert shipped - wanted - top <= {".gitignore", "PKG-INFO"}


def test_flake8_and_the_shell_find_their_way_in(wheel: zipfile.ZipFile) -> None:
    group = ""
    entries: dict[tuple[str, str], EntryPoint] = {}
    for line in member(wheel, "entry_points.txt").decode().splitlines():
        if line.startswith("["):
            group = line.strip("[]")
        elif line:
            name, _, value = line.partition(" = ")
            entries[group, name] = EntryPoint(name, value, group)
    assert entries.pop(("pylsp", "flake8-detach")).value == "flake8_detach.editor"  # needs the extra `lsp` to be loaded
    loaded = {where: entry.load() for where, entry in entries.items()}
    assert loaded["flake8.extension", "AGD"] is Plugin
    assert loaded["flake8.report", "agd-json"] is JsonLines
    assert loaded["console_scripts", "flake8-detach"] is main


def test_flake8_writes_json_lines(place: Path, run: Command) -> None:
    (place / "a.py").write_text("import torch\nx = torch.ones(2, requires_grad=True)\nx.numpy()\n")
    line, *others = run("flake8", "--select=AGD", "--format=agd-json", "a.py").lines
    found = json.loads(line)
    assert found.pop("message").startswith("`x.numpy()` raises")
    assert found.items() >= {"path": "a.py", "line": 3, "column": 1, "code": "AGD102"}.items()
    assert others == []


def test_the_metadata_is_that_of_this_version(metadata: Message, wheel: zipfile.ZipFile) -> None:
    assert metadata["Version"] == flake8_detach.__version__
    assert metadata["Requires-Python"] == ">=3.10"
    assert metadata.get_payload() == README
    assert member(wheel, "licenses/LICENSE") == (ROOT / "LICENSE").read_bytes()


def test_no_dependency_has_an_upper_bound(metadata: Message) -> None:
    required = metadata.get_all("Requires-Dist", [])
    assert {re.split(r"\W", text)[0] for text in required if "extra ==" not in text} == {"flake8", "libcst", "rich"}
    assert [text for text in required if re.search(r"<|~=|[^=]==\d", text)] == []


def test_torch_and_numpy_come_with_the_oracle_only(metadata: Message) -> None:
    required = metadata.get_all("Requires-Dist", [])
    heavy = [text for text in required if text.startswith(("torch", "numpy"))]
    assert len(heavy) == 2
    assert all(text.endswith("extra == 'oracle'") for text in heavy)


# The README


class Example(NamedTuple):
    """A command that the README shows, the files that it shows before that, and the output that it claims."""

    command: str
    files: dict[str, str]
    output: str


def examples() -> Iterator[Example]:
    """What stands behind `$ ` in the console blocks of the README."""
    shown: dict[str, str] = {}
    for name, kind, text in re.findall(r"(?:<!-- file: (\S+) -->\n)?```(\w+)\n(.*?)```\n", README, re.DOTALL):
        if name:
            shown[name] = text
        elif kind == "console":
            for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
                command, _, output = part.partition("\n")
                yield Example(command, dict(shown), output)


EXAMPLES = list(examples())


def test_the_readme_shows_the_linter_and_the_fixer() -> None:
    assert {example.command.split()[0] for example in EXAMPLES} == {"flake8", "flake8-detach"}


@pytest.mark.parametrize("example", EXAMPLES, ids=[example.command for example in EXAMPLES])
def test_the_output_in_the_readme_is_real(example: Example, place: Path, run: Command) -> None:
    shutil.copytree(ROOT / "fixtures" / "AGD201", place / "fixtures" / "AGD201")
    for name, text in example.files.items():
        (place / name).write_text(text, encoding="utf-8")
    program, *args = shlex.split(example.command)
    done = run(*(["flake8", *args] if program == "flake8" else args))
    assert done.out + done.err == example.output
    assert done.code == 1


def test_the_excerpt_in_the_readme_stands_in_the_shipped_example() -> None:
    excerpt = re.findall(r"```python\n(detached = .*?)```", README, re.DOTALL)
    text = (ROOT / "fixtures" / "AGD201" / "bad_teaching_detach.py").read_text(encoding="utf-8")
    assert len(excerpt) == 1
    assert excerpt[0] in re.sub(r"  # AGD201: \d+$", "", text, flags=re.MULTILINE)


SET_UP = re.findall(r"^python3 -m venv \.venv && .*$", README, re.MULTILINE)


def test_two_commands_do_all_the_setting_up() -> None:
    example, tests = SET_UP
    venv = "python3 -m venv .venv && . .venv/bin/activate && "
    shown = f"{venv}pip install . && {EXAMPLES[0].command}"
    assert (example, tests) == (shown, f'{venv}pip install -e ".[test]" && pytest -n auto')


@pytest.mark.skipif(os.name == "nt", reason="CI runs where there is a bash")
def test_ci_runs_the_readmes_test_command() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    found = re.search(r"^readme_tests=(.*)$", script.read_text(encoding="utf-8"), re.MULTILINE)
    assert found
    command = ["bash", "-c", f'{found[0]}; printf "%s" "$readme_tests"']
    assert subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout == SET_UP[1]
