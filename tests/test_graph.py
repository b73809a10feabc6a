"""`flake8-detach graph`: what is drawn, in every format, and what the user hears where nothing can be."""

from __future__ import annotations

import io
import re
import shutil
from pathlib import Path

import pytest
from conftest import ROOT, Command

from flake8_detach import rules
from flake8_detach.flow.drawing import Drawing, Item, Line
from flake8_detach.report.example_graph import picture
from flake8_detach.report.graph_command import NoGraph, look_at
from flake8_detach.report.graph_dot import dot
from flake8_detach.report.graph_mermaid import mermaid
from flake8_detach.report.graph_text import made_of, ordinal
from flake8_detach.report.graph_tree import print_tree
from flake8_detach.report.page import lint_example
from flake8_detach.source import Source

PROGRAM = """\
import torch

w = torch.ones(3, requires_grad=True)
x = torch.ones(3)
hidden = (w * x).exp()
with torch.no_grad():
    wanted = w + 1
loss = (hidden - wanted).sum() + hidden.detach().mean()
loss.backward()
again = loss * 2
print(w.shape)
import json; other = json.loads("1")
for i in range(5):
    hidden = hidden * 2
"""


@pytest.fixture
def program(place: Path) -> Path:
    path = place / "program.py"
    path.write_text(PROGRAM)
    return path


def test_the_tree_has_the_value_first_and_what_it_is_made_of_below(program: Path, run: Command) -> None:
    done = run("graph", "program.py:9")
    assert done.code == 0
    assert [re.sub(r"^[│├└─ ]+", "", line) for line in done.lines] == [
        "loss at program.py:9",
        "AddBackward0  loss = (hidden - wanted).sum() + hidden.detach().mean()  line 8",
        "SumBackward0  (hidden - wanted).sum()  line 8",
        "SubBackward0  (hidden - wanted)  line 8",
        "ExpBackward0  hidden = (w * x).exp()  line 5",
        "MulBackward0  (w * x)  line 5",
        "w  AccumulateGrad",
        "computed under `no_grad`  wanted: w  line 6",
        "w  AccumulateGrad  (backward does not come here)",
        "cut by `.detach()`  hidden  line 8",
        "ExpBackward0  hidden = (w * x).exp()  line 5  (backward does not come here)  (shown above)",
        "made under no_grad, line 6: wanted",
    ]


def test_what_an_earlier_backward_has_freed_is_marked(program: Path, run: Command) -> None:
    assert "ExpBackward0  hidden = (w * x).exp()  line 5  freed on line 9" in run("graph", "program.py:10").out
    assert "freed" not in run("graph", "program.py:9").out, "backward frees it when it is done, not before"


@pytest.mark.parametrize(
    ("where", "code", "message"),
    [
        ("program.py:99", 2, "program.py: no line 99, the file has 15"),
        ("missing.py:1", 2, "missing.py: No such file or directory"),
        ("program.py", 2, "program.py: give the place as FILE:LINE"),
        ("program.py:last", 2, "program.py:last: give the place as FILE:LINE"),
        ("program.py:2", 1, "program.py:2: no statement on this line computes a value"),
        ("program.py:4", 1, "program.py:4: nothing on this line has a graph"),
        ("program.py:12", 1, "program.py:12: what `other` is cannot be known from this file"),
        ("broken.py:1", 2, "broken.py:1: not valid Python"),
    ],
    ids=lambda value: value if isinstance(value, str) and ":" in value else "",
)
def test_where_nothing_can_be_drawn_the_user_hears_why(
    program: Path, run: Command, where: str, code: int, message: str
) -> None:
    program.with_name("broken.py").write_text("if:\n")
    done = run("graph", where)
    assert (done.code, done.out) == (code, "")
    assert done.err.startswith(f"flake8-detach: {message}")


def test_a_line_of_a_loop_can_be_seen_the_second_time(program: Path, run: Command) -> None:
    first, second = (run("graph", "program.py:14", "--visit", n).out.count("MulBackward0") for n in "12")
    assert second == first + 1
    assert run("graph", "program.py:14", "--visit", "99").code == 1


def test_mermaid_and_dot_have_all_items_and_lines(program: Path, run: Command) -> None:
    for form, arrow in (("mermaid", r"^    n\d+ (?:-->|-\.-x) n\d+$"), ("dot", r"^    n\d+ -> n\d+")):
        text = run("graph", "program.py:9", "--format", form).out
        nodes = set(re.findall(r"^ +(n\d+)[\[({]| +(n\d+) \[label", text, re.MULTILINE))
        assert len(nodes) == 8
        assert len(re.findall(arrow, text, re.MULTILINE)) == 9


def test_labels_hold_any_source_text() -> None:
    item = Item("op", "AddBackward0", text='f("a\\n") + {x: [<b>] ; `c` #}', line=3)
    drawing = Drawing((0,), (item,), ())
    (label,) = re.findall(r'n0\["(.*)"\]', mermaid(drawing, "x"))
    assert not set('"`{}[]\\') & set(label)
    assert 'f(\\"a\\\\n\\") + {x: [<b>] ; `c` #}' in dot(drawing, "x")


def test_the_output_file_tells_the_format(program: Path, run: Command) -> None:
    assert run("graph", "program.py:9", "-o", "loss.mmd").code == 0
    assert Path("loss.mmd").read_text().startswith("flowchart TB\n")
    assert run("graph", "program.py:9", "-o", "loss.dot").code == 0
    assert Path("loss.dot").read_text().startswith("digraph")
    assert run("graph", "program.py:9", "-o", "loss.txt").code == 0
    assert Path("loss.txt").read_text().startswith("loss at program.py:9\n")
    assert run("graph", "program.py:9", "-o", "nowhere/loss.txt").code == 2


@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed")
def test_pictures_are_made_by_graphviz(program: Path, run: Command) -> None:
    assert run("graph", "program.py:9", "-o", "loss.svg").code == 0
    assert "<svg" in Path("loss.svg").read_text()
    assert run("graph", "program.py:9", "-o", "loss.png").code == 0
    assert Path("loss.png").read_bytes().startswith(b"\x89PNG")


def test_without_graphviz_the_user_hears_what_is_missing(
    program: Path, run: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    done = run("graph", "program.py:9", "--format", "svg")
    assert done.code == 2
    assert "Graphviz" in done.err
    assert "--format dot" in done.err


def test_a_graph_as_long_as_a_program_does_not_end_the_tree(place: Path, run: Command) -> None:
    lines = ["import torch", "x = torch.ones(3, requires_grad=True)", *["x = x + 1"] * 1500, "x.sum().backward()"]
    Path("long.py").write_text("\n".join(lines))
    assert run("graph", "long.py:1503", "--format", "mermaid").out.count("AddBackward0") == 1500
    assert run("graph", "long.py:1503", "--format", "dot").code == 0


@pytest.mark.parametrize("path", sorted((ROOT / "tests" / "corpus_sample").glob("*.py")), ids=lambda path: path.name)
def test_real_code_can_be_drawn_or_says_why_not(path: Path, run: Command) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    for number in [i for i, line in enumerate(lines, 1) if "backward(" in line or "loss" in line][:6]:
        done = run("graph", f"{path}:{number}", "--format", "mermaid")
        assert done.code in (0, 1), done.err
        assert bool(done.out) == (done.code == 0)


def test_an_op_says_what_it_is_made_of_as_far_as_that_is_known() -> None:
    assert made_of(Item("op", "MulBackward0", ways=(("MulBackward0",),))) == ""
    assert made_of(Item("op", "MeanBackward0/1", ways=(("MeanBackward0",), ("MeanBackward1",)))) == ""
    assert made_of(Item("op", "F.linear", ways=(("AddmmBackward0", "TBackward0"),))) == "AddmmBackward0 + TBackward0"
    assert made_of(Item("op", "nn.LSTM")) == "several grad_fns, not known which"
    assert list(Drawing((0,), (), (Line(0, 1), Line(1, 2))).inputs(1)) == [Line(1, 2)]


def test_times_are_counted_in_english() -> None:
    assert [ordinal(n) for n in (1, 2, 3, 4, 11, 21, 112)] == ["1st", "2nd", "3rd", "4th", "11th", "21st", "112th"]


def test_the_picture_in_the_readme_is_what_the_command_draws(place: Path, run: Command) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    part = readme.partition("<!-- graph: begin -->")[2].partition("<!-- graph: end -->")[0]
    code, picture = re.findall(r"```(?:python|mermaid)\n(.*?)```", part, re.DOTALL)
    Path("step.py").write_text(code)
    line = code.splitlines().index("loss.backward()") + 1
    assert run("graph", f"step.py:{line}", "--format", "mermaid").out == picture
    assert f"flake8-detach graph step.py:{line}" in readme


PICTURES = {code: found for code, rule in rules.load().items() if (found := picture(rule)) is not None}


def test_the_pages_of_rules_show_the_graph_where_it_tells_something() -> None:
    assert {"AGD101", "AGD103", "AGD203", "AGD205", "AGD401"} <= set(PICTURES)
    assert "AGD102" not in PICTURES, "there the graph is as it should be"
    for code, (line, title, drawing) in PICTURES.items():
        page = (ROOT / "docs" / "rules" / f"{code}.md").read_text(encoding="utf-8")
        assert f"```mermaid\n{mermaid(drawing, title)}```" in page
        assert f"flake8-detach graph example.py:{line}" in page


def test_the_picture_of_a_rule_is_what_the_command_draws_of_its_example(place: Path, run: Command) -> None:
    Path("example.py").write_text(rules.load()["AGD203"].example.bad)
    line, title, drawing = PICTURES["AGD203"]
    drawn = run("graph", f"example.py:{line}", "--format", "mermaid").out
    assert drawn == mermaid(drawing, title)
    assert "cut by" in drawn or "turned into a Python number" in drawn


def test_no_picture_is_of_a_line_that_torch_never_comes_to() -> None:
    for code, found in PICTURES.items():
        last = max(finding.span.line for finding in lint_example(rules.load()[code], rules.load()[code].example.bad))
        assert not code.startswith("AGD1") or found.line <= last


FOLDERS = sorted(path.name for path in (ROOT / "fixtures").iterdir() if path.is_dir())


@pytest.mark.parametrize("folder", FOLDERS)
def test_whatever_is_reported_or_backwarded_in_the_fixtures_can_be_drawn(folder: str) -> None:
    for path in sorted((ROOT / "fixtures" / folder).glob("*.py")):
        text = path.read_text(encoding="utf-8")
        source = Source(text)
        lines = [i for i, line in enumerate(text.splitlines(), 1) if "# AGD" in line or "backward(" in line]
        for line in lines[-1:]:
            try:
                drawing, title = look_at(source, path.name, line)
            except NoGraph:
                continue
            print_tree(drawing, title, io.StringIO())
            assert mermaid(drawing, title).startswith("flowchart TB\n")
            assert dot(drawing, title).startswith("digraph")
