"""Notebooks, through nbqa: a real small one, with magics, a shell command, Markdown and output."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import Run

pytest.importorskip("nbqa", reason='nbqa is not installed (pip install -e ".[dev]")')

CELLS = [
    ("markdown", "# Training\n\nA `loss.numpy()` in prose."),
    ("code", "%matplotlib inline\n!echo ready\nimport torch\nfrom torch import nn"),
    ("code", "%%time\nnet = nn.Linear(4, 1)\ninputs = torch.randn(8, 4)"),
    ("code", "predictions = net(inputs)\npredictions.numpy()"),
    ("code", "with torch.no_grad():\n    fixed = net(inputs)\nfixed.sum().backward()"),
]


def notebook() -> dict[str, Any]:
    cells: list[dict[str, Any]] = []
    for number, (kind, text) in enumerate(CELLS):
        cell: dict[str, Any] = {"cell_type": kind, "id": f"cell{number}", "metadata": {}}
        cell["source"] = text.splitlines(keepends=True)
        if kind == "code":
            output = {"name": "stdout", "output_type": "stream", "text": ["kept\n"]}
            cell |= {"execution_count": number, "outputs": [output]}
        cells.append(cell)
    return {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


@pytest.fixture
def path(place: Path) -> Path:
    (place / ".flake8").write_text("[flake8]\nselect = AGD\n")
    path = place / "training.ipynb"
    path.write_text(json.dumps(notebook(), indent=1) + "\n")
    return path


def nbqa(*args: str) -> Run:
    done = subprocess.run([sys.executable, "-m", "nbqa", *args], capture_output=True, text=True, check=False)
    return Run(done.returncode, done.stdout, done.stderr)


def sources(path: Path) -> list[str]:
    return ["".join(cell["source"]) for cell in json.loads(path.read_text())["cells"]]


def test_flake8_reports_by_cell_and_line(path: Path) -> None:
    done = nbqa("flake8", path.name)
    assert done.code == 1
    assert [line.partition(" ")[0] for line in done.lines] == [
        "training.ipynb:cell_3:2:1:",
        "training.ipynb:cell_4:3:1:",
    ]
    assert [line.split()[1] for line in done.lines] == ["AGD102", "AGD101"]


def test_the_fixer_mends_the_cell_and_nothing_else(path: Path) -> None:
    before = json.loads(path.read_text())
    done = nbqa("flake8_detach fix", path.name)
    assert done.code == 1, done.err
    before["cells"][3]["source"] = ["predictions = net(inputs)\n", "predictions.detach().numpy()"]
    assert json.loads(path.read_text()) == before, "magics, prose and outputs are as they were"
    again = path.read_bytes()
    assert nbqa("flake8_detach fix", path.name).code == 1, "one report is left, for a person"
    assert path.read_bytes() == again


def test_nbqa_diff_shows_the_fix_and_writes_nothing(path: Path) -> None:
    before = path.read_bytes()
    done = nbqa("flake8_detach fix", path.name, "--nbqa-diff")
    assert "predictions.detach().numpy()" in done.out
    assert path.read_bytes() == before
