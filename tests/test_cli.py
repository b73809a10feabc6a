"""The command line: `fix` on files, directories and stdin; `explain`, `rules`, and the pages made of the same."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Command

from flake8_detach import __version__, rules
from flake8_detach.fixes import command
from flake8_detach.report import page
from flake8_detach.rules._base import Rule

TEXT = "safe_a = risky_b + shown_c\n"
ROOT = Path(__file__).parent.parent

words = pytest.mark.usefixtures("words")


# --- fix: what is written, what is said, the exit code


@words
def test_fix_writes_what_is_safe_and_reports_the_rest(place: Path, run: Command) -> None:
    (place / "a.py").write_text(TEXT)
    assert run("fix", "a.py") == (
        1,
        "a.py:1:1: AGD102 fixed: drop `safe_`\n"
        "a.py:1:5: AGD101 `risky_b` is risky [fixable with --unsafe-fixes]\n"
        "a.py:1:15: AGD101 `shown_c` is shown\n"
        "1 fixed, 2 remaining (1 fixable with --unsafe-fixes).\n",
        "",
    )
    assert (place / "a.py").read_text() == "a = risky_b + shown_c\n"


@words
def test_unsafe_fixes_includes_the_unsafe_ones(place: Path, run: Command) -> None:
    (place / "a.py").write_text(TEXT)
    result = run("fix", "--unsafe-fixes", "a.py")
    assert (place / "a.py").read_text() == "a = b + shown_c\n"
    assert result.lines[-1] == "2 fixed, 1 remaining."
    assert result.code == 1


@words
def test_a_clean_file_is_left_alone(place: Path, run: Command) -> None:
    path = place / "a.py"
    path.write_text("x = 1\n")
    before = path.stat()
    assert run("fix", "a.py") == (0, "", "")
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    assert path.stat().st_ino == before.st_ino


@words
def test_a_second_run_fixes_nothing_more(place: Path, run: Command) -> None:
    (place / "a.py").write_text("safe_a = 1\n")
    assert run("fix", "a.py").code == 1, "something was fixed"
    assert run("fix", "a.py") == (0, "", "")


@words
def test_a_directory_is_fixed_as_flake8_walks_it(place: Path, run: Command) -> None:
    for name in ("b.py", "a.py", "note.txt", ".git/c.py", "sub/d.py", "skipped/e.py"):
        (place / name).parent.mkdir(exist_ok=True)
        (place / name).write_text("safe_a = 1\n")
    (place / ".flake8").write_text("[flake8]\nextend-exclude = skipped\n")
    result = run("fix", ".", "sub", "a.py", "./a.py")
    assert [line.split(":")[0] for line in result.lines] == ["./a.py", "./b.py", "./sub/d.py", "3 fixed, 0 remaining."]
    assert (place / "skipped" / "e.py").read_text() == "safe_a = 1\n"
    assert (place / "note.txt").read_text() == "safe_a = 1\n"


@words
def test_a_file_that_is_named_is_fixed_whatever_its_extension(place: Path, run: Command) -> None:
    (place / "script").write_text("safe_a = 1\n")
    assert run("fix", "script").lines[0].startswith("script:1:1: AGD102 fixed")


@words
def test_every_other_byte_stays(place: Path, run: Command) -> None:
    data = b"\xef\xbb\xbf#!/x\r\n# c \t\r\nsafe_a = '\x0c\xc3\x9f'; y = '''\r\n\n'''\n\x0c\nif 1:\r\tsafe_b = 2  # safe"
    (place / "a.py").write_bytes(data)
    assert run("fix", "a.py").code == 1
    assert (place / "a.py").read_bytes() == data.replace(b"safe_", b"")


@words
def test_the_encoding_stays(place: Path, run: Command) -> None:
    data = "# coding: latin-1\nsafe_a = 'ß'\n".encode("latin-1")
    (place / "a.py").write_bytes(data)
    assert run("fix", "a.py").code == 1
    assert (place / "a.py").read_bytes() == data.replace(b"safe_", b"")


@words
def test_mode_and_symbolic_links_stay(place: Path, run: Command) -> None:
    (place / "real.py").write_text("safe_a = 1\n")
    (place / "real.py").chmod(0o755)
    (place / "link.py").symlink_to("real.py")
    assert run("fix", "link.py", "real.py").lines[-1] == "1 fixed, 0 remaining."
    assert (place / "link.py").is_symlink()
    assert (place / "real.py").read_text() == "a = 1\n"
    assert os.access(place / "real.py", os.X_OK)


# --- fix: exactly what flake8 reports


CONFIGS = {
    "nothing": "",
    "select": "select = AGD101",
    "select of others": "select = E,W",
    "extend-select": "extend-select = AGD902",
    "ignore": "ignore = AGD102",
    "ignore of others": "ignore = E203",
    "extend-ignore": "extend-ignore = AGD1",
    "ignore and longer select": "ignore = AGD\nselect = AGD102",
    "per-file-ignores": "per-file-ignores =\n    a.py: AGD102\n    sub/*: AGD",
    "exclude": "exclude = sub",
    "filename": "filename = *b.py",
    "disable-noqa": "disable-noqa = true",
    "confidence": "agd-confidence = certain",
    "much of other plug-ins": "max-line-length = 10\nmax-complexity = 1\nformat = pylint\nstatistics = true\njobs = 2",
}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
@words
def test_fix_and_flake8_agree_on_what_is_reported(place: Path, run: Command, config: str) -> None:
    lines = [
        "shown_a = 1",
        "shown_b = 1  # noqa",
        "shown_c = 1  # noqa: AGD101",
        "shown_d = 1  # noqa: AGD102",
        "shown_e = (",
        "    shown_f)  # noqa: AGD1",
        "optional_g = '''",
        "'''  # noqa",
        "optional_h = 1",
    ]
    (place / "sub").mkdir()
    for name in ("a.py", "b.py", "sub/a.py"):
        (place / name).write_text("\n".join(lines) + "\n")
    (place / "c.py").write_text("# flake8: noqa\nshown_a = 1\n")
    (place / "setup.cfg").write_text(f"[flake8]\n{config}\n")
    (place / ".flake8").unlink()
    expected = [line for line in run("flake8", "--format=default", ".").lines if ": AGD" in line]
    result = run("fix", ".")
    assert sorted(line.replace(" [fixable with --unsafe-fixes]", "") for line in result.lines[:-1]) == sorted(expected)
    assert result.code == bool(expected)


@words
def test_what_is_not_reported_is_not_fixed(place: Path, run: Command) -> None:
    (place / ".flake8").write_text("[flake8]\nper-file-ignores = b.py: AGD102\n")
    text = "safe_a = 1  # noqa: AGD102\nsafe_b = 2\nhint_c = 3\nx = 'ab'  # noqa\nleft_d = 4  # noqa: E501\n"
    (place / "a.py").write_text(text)
    (place / "b.py").write_text(text)
    assert run("fix", "a.py", "b.py").lines[-1] == "3 fixed, 0 remaining."
    assert (place / "a.py").read_text() == text.replace("safe_b", "b").replace("left_", "")
    assert (place / "b.py").read_text() == text.replace("left_", "")


@words
def test_flake8s_options_can_be_given_for_one_run(place: Path, run: Command) -> None:
    (place / "other.cfg").write_text("[flake8]\nignore = AGD102\n")
    (place / "a.py").write_text("safe_a = left_b\n")
    assert run("fix", "--diff", "--select=AGD102", "a.py").out.splitlines()[-1] == "+a = left_b"
    assert run("fix", "--diff", "--extend-ignore", "AGD102", "a.py").out.splitlines()[-1] == "+safe_a = b"
    assert run("fix", "--diff", "--config", "other.cfg", "a.py").out.splitlines()[-1] == "+safe_a = b"
    assert run("fix", "--diff", "--config", "other.cfg", "--isolated", "a.py").out.splitlines()[-1] == "+a = b"


# --- fix: what cannot be fixed


@words
def test_a_path_that_does_not_exist_is_reported_and_the_others_are_fixed(place: Path, run: Command) -> None:
    (place / "a.py").write_text("safe_a = 1\n")
    (place / "dangling.py").symlink_to("nowhere")
    result = run("fix", "none.py", "dangling.py", "a.py")
    assert result.code == 2
    assert result.err == "none.py: no such file or directory\ndangling.py: no such file or directory\n"
    assert (place / "a.py").read_text() == "a = 1\n"


@words
def test_a_directory_without_python_files_is_reported(place: Path, run: Command) -> None:
    (place / "docs").mkdir()
    (place / "docs" / "a.txt").write_text("x")
    assert run("fix", "docs") == (2, "", "docs: no Python files in this directory\n")


@words
def test_a_directory_that_is_excluded_is_no_mistake(place: Path, run: Command) -> None:
    (place / "sub").mkdir()
    (place / "sub" / "a.py").write_text("safe_a = 1\n")
    assert run("fix", "--exclude=sub", "sub", "./sub") == (0, "", "")


@words
def test_files_that_cannot_be_parsed_are_reported_and_kept(place: Path, run: Command) -> None:
    broken = {"a.py": b"safe_a = 1\ndef f(:\n", "b.py": b"safe_a = 1\n\x00", "c.py": b"# coding: utf-7\nx = '+2AA-'\n"}
    for name, data in broken.items():
        (place / name).write_bytes(data)
    (place / "d.py").write_text("safe_a = 1\n")
    result = run("fix", ".")
    assert result.code == 2
    assert result.err.startswith("./a.py:2: not valid Python: ")
    assert {line.split(":")[0] for line in result.err.splitlines()} == {"./a.py", "./b.py", "./c.py"}
    assert {name: (place / name).read_bytes() for name in broken} == broken
    assert (place / "d.py").read_text() == "a = 1\n"


@words
def test_a_file_that_cannot_be_read_is_reported(place: Path, run: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    (place / "a.py").write_text("safe_a = 1\n")

    def refuse(name: str, mode: str = "r") -> None:
        raise PermissionError(13, "Permission denied", name)

    monkeypatch.setattr(command, "open", refuse, raising=False)  # root may read anything
    assert run("fix", "a.py") == (2, "", "a.py: Permission denied\n")


@words
def test_a_file_that_cannot_be_written_is_reported_and_not_called_fixed(
    place: Path, run: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place / "a.py").write_text("safe_a = 1\n")

    def refuse(*names: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", refuse)
    assert run("fix", "a.py") == (2, "", "a.py: No space left on device\n")
    assert sorted(os.listdir(place)) == [".flake8", "a.py"]
    assert (place / "a.py").read_text() == "safe_a = 1\n"


def test_a_file_that_we_fail_on_is_passed_over_as_in_flake8(
    place: Path, run: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place / "a.py").write_text("x = 1\n")

    def fail(*args: object) -> None:
        raise RecursionError("too deep")

    monkeypatch.setattr(rules, "check", fail)
    assert run("fix", "a.py") == (0, "", "a.py: passed over, the analysis failed: RecursionError: too deep\n")


def test_ctrl_c_stops_at_once_and_leaves_the_file(place: Path, run: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    (place / "a.py").write_text("safe_a = 1\n")

    def stop(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(rules, "check", stop)
    assert run("fix", "a.py").code == 130
    assert (place / "a.py").read_text() == "safe_a = 1\n"


@pytest.mark.parametrize("config", ["extend-ignore = E123 # why", "require-plugins = nonsense", "agd-confidence = no"])
def test_a_broken_configuration_is_reported(place: Path, run: Command, config: str) -> None:
    (place / "a.py").write_text("x = 1\n")
    (place / ".flake8").write_text(f"[flake8]\n{config}\n")
    code, out, err = run("fix", "a.py")
    assert (code, out) == (2, "")
    assert err.startswith("flake8-detach: ")


# --- fix --diff


@words
def test_diff_writes_nothing_and_prints_a_patch(place: Path, run: Command) -> None:
    (place / "a.py").write_text("x = 1\nsafe_a = 1\n")
    assert run("fix", "--diff", "a.py") == (
        1,
        "--- a.py\n+++ a.py\n@@ -1,2 +1,2 @@\n x = 1\n-safe_a = 1\n+a = 1\n",
        "a.py:2:1: AGD102 would be fixed: drop `safe_`\n1 would be fixed, 0 remaining.\n",
    )
    assert (place / "a.py").read_text() == "x = 1\nsafe_a = 1\n"


@words
def test_diff_says_what_a_repair_by_hand_would_be(place: Path, run: Command) -> None:
    (place / "a.py").write_text("x = shown_c\n")
    line = "a.py:1:5: AGD101 `shown_c` is shown"
    tail = "0 would be fixed, 1 remaining.\n"
    assert run("fix", "--diff", "a.py") == (1, "", f"{line} [by hand: drop `shown_`]\n{tail}")
    assert run("fix", "--diff", "--unsafe-fixes", "a.py") == (1, "", f"{line} [by hand: drop `shown_`]\n{tail}")
    assert run("fix", "a.py").lines[0] == line


@words
def test_diff_of_a_clean_file_is_empty(place: Path, run: Command) -> None:
    (place / "a.py").write_text("x = 1\n")
    assert run("fix", "--diff", "a.py") == (0, "", "")


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"safe_a = 1", id="no newline at the end"),
        pytest.param(b"x = 1\r\nsafe_a = 1\r\n", id="CRLF"),
        pytest.param(b"\xef\xbb\xbfx = '\x0c'\nsafe_a = '\xc3\x9f'\n", id="byte order mark, form feed"),
        pytest.param(b"# coding: latin-1\nsafe_a = '\xdf'\n", id="latin-1"),
    ],
)
@words
def test_the_diff_can_be_applied(place: Path, run: Command, data: bytes) -> None:
    (place / "a.py").write_bytes(data)
    encoding = "latin-1" if b"latin-1" in data else "utf-8"
    diff = run("fix", "--diff", "a.py").out.encode("utf-8", "surrogateescape")
    assert "a = ".encode(encoding) in diff
    subprocess.run(["git", "apply", "-p0", "-"], input=diff, cwd=place, check=True)
    assert (place / "a.py").read_bytes() == data.replace(b"safe_", b"")


# --- fix -


@words
def test_stdin_goes_to_stdout_and_the_report_to_stderr(place: Path, run: Command) -> None:
    result = run("fix", "-", stdin=b"safe_a = risky_b\r\n")
    assert result == (
        1,
        "a = risky_b\r\n",
        "stdin:1:1: AGD102 fixed: drop `safe_`\n"
        "stdin:1:5: AGD101 `risky_b` is risky [fixable with --unsafe-fixes]\n"
        "1 fixed, 1 remaining (1 fixable with --unsafe-fixes).\n",
    )


@pytest.mark.parametrize("data", [b"def f(:\r\n", b"x = 1", b"", b"# coding: latin-1\nx = '\xff'\n"])
@words
def test_stdin_that_needs_or_allows_no_fix_comes_back_as_it_is(place: Path, run: Command, data: bytes) -> None:
    result = run("fix", "-", stdin=data)
    assert result.out.encode("utf-8", "surrogateescape") == data
    assert result.code == (2 if b"def" in data else 0)


@words
def test_stdin_is_judged_by_its_display_name(place: Path, run: Command) -> None:
    (place / ".flake8").write_text("[flake8]\nper-file-ignores = a.py: AGD102\nexclude = b.py\n")
    for name, result in {"a.py": "safe_a = left_b\n", "b.py": "safe_a = left_b\n", "c.py": "a = b\n"}.items():
        expected = result.replace("left_", "") if name == "a.py" else result
        assert run("fix", "--stdin-display-name", name, "-", stdin=b"safe_a = left_b\n").out == expected


@words
def test_stdin_can_be_diffed(place: Path, run: Command) -> None:
    result = run("fix", "--diff", "-", stdin=b"safe_a = 1\n")
    assert result.out == "--- stdin\n+++ stdin\n@@ -1 +1 @@\n-safe_a = 1\n+a = 1\n"


# --- usage


@pytest.mark.parametrize("args", [("fix",), ("fix", "--nonsense", "a.py"), ("nonsense",), ("explain",)])
def test_wrong_usage_is_2(run: Command, args: tuple[str, ...]) -> None:
    result = run(*args)
    assert result.code == 2
    assert "usage: flake8-detach" in result.err


def test_version(run: Command) -> None:
    assert run("--version") == (0, f"flake8-detach {__version__}\n", "")


def test_the_module_can_be_run() -> None:
    done = subprocess.run([sys.executable, "-m", "flake8_detach", "--version"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, f"flake8-detach {__version__}\n")


def test_nobody_reading_on_is_no_error() -> None:
    program = [sys.executable, "-m", "flake8_detach", "rules"]
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""


# --- explain, rules, pages


def test_rules_lists_every_code(run: Command) -> None:
    code, out, err = run("rules")
    assert (code, err) == (0, "")
    head, *rows = [line.split(maxsplit=4) for line in out.splitlines()]
    assert head == ["code", "name", "default", "fix", "reports"]
    assert [row[0] for row in rows] == ["AGD000", *rules.load()]
    assert rows[0][2] == "off"
    assert {row[2] for row in rows} <= {"on", "off"}
    assert {kind for row in rows for kind in row[3].split("/")} <= {*page.FIX_KINDS.values(), "none"}


def test_explain_prints_the_page_with_its_sections_in_order(run: Command) -> None:
    code, out, err = run("explain", "AGD102")
    assert (code, err) == (0, "")
    sections = [line[3:] for line in out.splitlines() if line.startswith("## ")]
    assert sections == [name for name in page.SECTIONS if name in sections]
    assert {"What it does", "Why is this bad?", "Example", "Use instead"} <= set(sections)
    assert rules.load()["AGD102"].example.good.strip() in out


def test_explain_takes_any_case_and_the_name(run: Command) -> None:
    assert run("explain", "agd102") == run("explain", "AGD102") == run("explain", rules.load()["AGD102"].name)


def test_explain_of_the_internal_code(run: Command) -> None:
    assert run("explain", "AGD000").out.startswith("# AGD000: internal\n")


def test_explain_of_an_unknown_rule_is_an_error(run: Command) -> None:
    code, out, err = run("explain", "AGD999")
    assert (code, out) == (2, "")
    assert "AGD999" in err


def test_explain_is_rendered_on_a_terminal(
    run: Command, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    monkeypatch.setattr(type(sys.stdout), "isatty", lambda stream: True, raising=False)
    out = run("explain", "AGD102").out
    assert "What it does" in out
    assert "## What it does" not in out
    assert "```" not in out


def test_rich_is_imported_for_a_terminal_only() -> None:
    code = (
        "import sys; from flake8_detach.cli import main; main(['explain', 'AGD102']); sys.exit('rich' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0


def test_a_page_with_an_unknown_section_is_refused() -> None:
    class Odd(Rule):
        """Odd.

        ## What it dose
        Something.
        """

        code = "AGD998"
        name = "odd"

    with pytest.raises(ValueError, match="What it dose"):
        page.page(Odd())


@pytest.mark.parametrize("rule", rules.load().values(), ids=rules.load())
def test_the_example_of_a_rule_shows_it_and_its_repair_is_clean(rule: Rule) -> None:
    assert rule.code in {found.code for found in page.lint_example(rule, rule.example.bad)}
    assert page.lint_example(rule, rule.example.good) == []


def test_the_pages_and_the_table_in_the_readme_are_up_to_date() -> None:
    done = subprocess.run([sys.executable, ROOT / "tools" / "make_docs.py", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
