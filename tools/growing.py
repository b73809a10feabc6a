"""Programs that grow in one direction: does the work grow with them, and no faster? For bench.py and the tests."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

HEAD = "import sys\n\nimport numpy as np\nimport torch\nfrom torch import nn\n\n"
LEAF = "x = torch.ones(3, requires_grad=True)\ny = x\n"
NET = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(3, 1)

    def forward(self, x):
        return self.first(x)


net = Net()
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
"""
END = "torch.ones(3).sum().backward()\n"
"""The last line of every program. It is reported, so who reports it has followed the program to its end."""

UNIT = """
class Net#(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.first = nn.Linear(width, width)
        self.second = nn.Linear(width, 1)
        self.total = 0.0

    def forward(self, x):
        hidden = torch.relu(self.first(x))
        if hidden.mean() > 0:
            hidden = hidden * 2
        return self.second(hidden)


def train#(batches, width=#):
    net = Net#(width)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    for x, y in batches:
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(net(x), y)
        detached = loss.detach()
        loss.backward()
        optimizer.step()
        net.total += detached.item()
    return np.asarray(net.total), net.first.weight.numpy()


train#([(torch.rand(2, #), torch.rand(2, 1))])
"""
"""Code that the gate lets through whole: a class, a loop, calls, attributes, and one thing to report."""


def power(sizes: Sequence[int], work: Sequence[float]) -> float:
    """The power of the size that each further part costs, plus 1: that of the growth, whatever the program costs
    before it has any part. From the last three sizes."""
    (a, b, c), (less, some, more) = sizes[-3:], work[-3:]
    first, second = (some - less) / (b - a), (more - some) / (c - b)
    if min(first, second) <= 0:
        return 1.0 if second > 0 else 0.0
    return 1 + math.log(second / first) / math.log((b + c) / (a + b))


class Direction(NamedTuple):
    """One way to grow: `part` is written down `size` times between `before` and `after`, `#` being its number and
    `#-1` the one before. In `after`, `#` is the size. deep: each part stands inside of the one before, indented; or
    in brackets, if the part is an expression with `...` where the inner one goes.

    sizes: what is measured. power: that of the work; more than 1 only where `why` says why. The steps of the engine
    are linear all the same.
    """

    name: str
    before: str
    part: str
    after: str = ""
    deep: bool = False
    sizes: tuple[int, ...] = (50, 100, 200, 400, 800, 1600)
    power: float = 1.0
    why: str = ""

    def program(self, size: int) -> str:
        """The program of that size."""
        if self.deep and "..." in self.part:
            opened, closed = self.part.split("...", 1)
            inner = "".join(closed.replace("#", str(n)) for n in range(size))
            return HEAD + LEAF + f"y = {opened * size}x{inner}\nx.sum().backward()\n" + END
        if self.deep:
            first, *rest = self.part.splitlines(keepends=True)
            opened = "".join("    " * n + first.replace("#", str(n)) for n in range(size))
            closed = "".join("    " * n + line for n in reversed(range(size)) for line in rest)
            return HEAD + LEAF + opened + "    " * size + "y = y * 2\n" + closed + "y.sum().backward()\n" + END
        parts = (self.part.replace("#-1", str(n - 1)).replace("#", str(n)) for n in range(1, size + 1))
        return HEAD + self.before + "".join(parts) + self.after.replace("#", str(size)) + END


def lines(size: int) -> str:
    """A file of about `size` lines."""
    return LINES.program(size // UNIT.count("\n") + 1)


LINES = Direction("classes and functions", "", UNIT, sizes=(12, 24, 48, 96, 192))
BLOCKS = (7, 13, 19)
"""Python nests no more than 20 blocks that can be left. The first four loops multiply the work, on purpose: the body is
run several times, to see what crosses iterations. From there on each adds the same."""
MANY = (100, 200, 400, 800, 1600)
"""The first 64 elements are told apart, which takes more work for each."""
LEVELS = (12, 24, 48, 96)
"""Python indents 100 times, at most."""
REDONE = "what is done within is taken back, and brought back, by each level around it: changes times levels"
EXITS = "a path that leaves early keeps all that has changed since the body began: exits times changes"
OBJECT = "each method is run on the object as all the others leave it: methods times attributes"

DIRECTIONS = (
    LINES,
    # Functions
    Direction(
        "call depth",
        "def f0(x):\n    return (x * 2).sum()\n\n\n",
        "def f#(x):\n    return f#-1(x) + 1\n\n\n",
        LEAF + "f#(x).backward()\n",
        sizes=(25, 50, 100, 200),
    ),
    Direction(
        "calls that fork",
        "def f0(x):\n    return x * 2\n\n\n",
        "def f#(x):\n    return f#-1(x) + f#-1(x * 2)\n\n\n",
        LEAF + "f#(x).sum().backward()\n",
    ),
    Direction(
        "calls of one function",
        NET + "def train(net, optimizer, x):\n    optimizer.zero_grad()\n    loss = net(x).mean()\n"
        "    loss.backward()\n    optimizer.step()\n    return loss\n\n\n",
        "train(net, optimizer, torch.rand(2, 3))\n",
    ),
    Direction(
        "functions that nobody calls",
        "",
        "def f#(net, loader):\n    for x, y in loader:\n        loss = net(x).mean()\n        loss.backward()\n\n\n",
    ),
    Direction("parameters", "def f(x", ", p#=None", "):\n    return x\n\n\n" + LEAF + "f(x).sum().backward()\n"),
    Direction("lambdas", "fs = {}\n", "fs['#'] = lambda x: x * #\n", LEAF + "fs['1'](x).sum().backward()\n"),
    # Classes
    Direction(
        "classes that hold each other",
        "class C0(nn.Linear):\n    pass\n\n\n",
        "class C#(nn.Module):\n    def __init__(self):\n        super().__init__()\n        self.inner = C#-1()\n"
        "        self.last = nn.Linear(3, 3)\n\n"
        "    def forward(self, x):\n        return self.last(self.inner(x))\n\n\n",
        "C#()(torch.ones(3)).sum().backward()\n",
        sizes=(50, 100, 200, 400),
    ),
    Direction(
        "inheritance",
        "class C0(nn.Linear):\n    def forward(self, x):\n        return x\n\n\n",
        "class C#(C#-1):\n    def forward(self, x):\n        return super().forward(x) * 2\n\n\n",
        LEAF + "C#(3, 3)(x).sum().backward()\n",
        sizes=(50, 100, 200),
        power=1.5,
        why="the ancestors of a class are all the classes before it",
    ),
    Direction(
        "methods",
        "class T:\n    def __init__(self, net):\n        self.net = net\n",
        "\n    def step#(self, x):\n        loss = self.net(x).mean()\n        loss.backward()\n        return loss\n",
        "\n\n",
    ),
    Direction(
        "methods that call each other",
        "class T:\n    def __init__(self, net):\n        self.net = net\n\n"
        "    def f0(self, x):\n        return self.net(x)\n",
        "\n    def f#(self, x):\n        return self.f#-1(x)\n",
        "\n\nT(nn.Linear(3, 3)).f#(torch.ones(3)).sum().backward()\n",
    ),
    Direction(
        "methods with an attribute each",
        "class T:\n    def __init__(self, net):\n        self.net = net\n        self.m0 = None\n",
        "\n    def step#(self, x):\n        self.m# = self.net(x).mean()\n        return self.m#-1\n",
        "\n\n",
        power=1.5,
        why=OBJECT,
    ),
    Direction(
        "attributes",
        "class T:\n    def __init__(self, x):\n        self.a0 = x\n",
        "        self.a# = self.a#-1 * 2\n",
        "\n\n" + LEAF + "T(x).a#.sum().backward()\n",
    ),
    Direction(
        "layers",
        NET + "class Deep(nn.Module):\n    def __init__(self):\n        super().__init__()\n",
        "        self.a# = nn.Linear(3, 3)\n",
        "\n    def forward(self, x):\n        for layer in self.children():\n            x = layer(x)\n"
        "        return x\n\n\nnet = Deep()\n"
        "optimizer = torch.optim.SGD(net.parameters(), lr=0.1)\nfor _ in sys.argv:\n"
        "    optimizer.zero_grad()\n    net(torch.ones(3)).sum().backward()\n    optimizer.step()\n",
    ),
    Direction(
        "layers in a row",
        "net = nn.Sequential(\n",
        "    nn.Linear(3, 3),\n",
        ")\noptimizer = torch.optim.SGD(net.parameters(), lr=0.1)\nfor _ in sys.argv:\n"
        "    optimizer.zero_grad()\n    net(torch.ones(3)).sum().backward()\n    optimizer.step()\n",
    ),
    Direction(
        "networks",
        NET,
        "net# = Net()\noptimizer# = torch.optim.SGD(net#.parameters(), lr=0.1)\noptimizer#.zero_grad()\n"
        "net#(torch.rand(3)).sum().backward()\noptimizer#.step()\n",
    ),
    # Statements in a row
    Direction("steps", NET, "optimizer.zero_grad()\nnet(torch.rand(3)).sum().backward()\noptimizer.step()\n"),
    Direction("graph length", LEAF, "y = y * 2\n", "loss = y.sum()\nloss.backward()\n"),
    Direction("terms of a loss", LEAF + "loss = 0\n", "loss = loss + (x * #).sum()\n", "loss.backward()\n"),
    Direction("conversions", LEAF, "m# = (y * #).detach().cpu().numpy()\n"),
    Direction("writes", LEAF + "rows = torch.zeros(3)\n", "rows[#] = (x * #).sum()\n", "rows.sum().backward()\n"),
    Direction("calls of unknown functions", "from helpers import *\n" + LEAF, "h# = helper#(y)\n"),
    Direction("with in a row", LEAF, "with torch.enable_grad():\n    y = y * #\n", "y.sum().backward()\n"),
    Direction("try in a row", LEAF, "try:\n    y = y * 2\nexcept ValueError:\n    y = x\n", "y.sum().backward()\n"),
    Direction("loops in a row", LEAF, "for a in sys.argv:\n    y = y + x * #\n", "y.sum().backward()\n"),
    Direction("branches", LEAF, "if sys.argv[#]:\n    y = y + #\n", "y.sum().backward()\n"),
    Direction(
        "elif",
        LEAF + "if len(sys.argv) == 0:\n    y = x\n",
        "elif len(sys.argv) == #:\n    y = x * #\n",
        "y.sum().backward()\n",
        sizes=(50, 100, 200),  # libcst refuses some 400
    ),
    Direction(
        "cases",
        LEAF + "match len(sys.argv):\n",
        "    case #:\n        y = x * #\n",
        "y.sum().backward()\n",
    ),
    # Loop bodies
    Direction("statements of a loop", LEAF + "for a in sys.argv:\n", "    y = y * #\n", "y.sum().backward()\n"),
    Direction(
        "variables of a loop", LEAF + "v0 = x\nfor a in sys.argv:\n", "    v# = v#-1 * #\n", "v#.sum().backward()\n"
    ),
    Direction(
        "branches of two loops",
        NET + "def train(net, optimizer, data, flags):\n    for epoch in range(len(data)):\n        for x, y in data:\n"
        "            optimizer.zero_grad()\n            loss = net(x).mean()\n",
        "            if flags['#']:\n                loss = loss + net(x).mean() * #\n",
        "            loss.backward()\n            optimizer.step()\n\n\ntrain(net, optimizer, sys.argv, sys.argv)\n",
        sizes=(25, 50, 100, 200, 400),
    ),
    Direction(
        "return",
        "def f(kind, y):\n",
        "    y = y * #\n    if kind == #:\n        return y\n",
        "    return y\n\n\n" + LEAF + "f(len(sys.argv), x).sum().backward()\n",
        power=2.0,
        why=EXITS,
    ),
    Direction(
        "continue",
        LEAF + "for a in sys.argv:\n    y = x\n",
        "    y = y * #\n    if a == #:\n        continue\n",
        "    y.sum().backward()\n",
        power=2.0,
        why=EXITS,
    ),
    Direction(
        "break",
        LEAF + "for a in sys.argv:\n    y = x\n",
        "    y = y * #\n    if a == #:\n        break\n",
        "    y.sum().backward()\n",
        power=2.0,
        why=EXITS,
    ),
    # Containers
    Direction("list", LEAF + "xs = [\n", "    x * #,\n", "]\nsum(xs).sum().backward()\n"),
    Direction("dict", LEAF + "xs = {\n", "    '#': x * #,\n", "}\nsum(xs.values()).sum().backward()\n"),
    Direction("list that grows", LEAF + "xs = []\n", "xs.append(x * #)\n", "sum(xs).sum().backward()\n", sizes=MANY),
    Direction(
        "dict that grows", LEAF + "xs = {}\n", "xs['#'] = x * #\n", "sum(xs.values()).sum().backward()\n", sizes=MANY
    ),
    # Inside of each other
    Direction("if in if", "", "if len(sys.argv) > #:\n", "", True, LEVELS, 1.5, REDONE),
    Direction("if in else", "", "if len(sys.argv) > #:\nelse:\n    y = x * 3\n", "", True, LEVELS, 1.5, REDONE),
    Direction("for in for", "", "for a# in range(len(sys.argv)):\n", "", True, BLOCKS, 1.5, REDONE),
    Direction("while in while", "", "while len(sys.argv) > #:\n", "", True, BLOCKS, 1.5, REDONE),
    Direction("with in with", "", "with torch.enable_grad():\n", "", True, BLOCKS),
    Direction("try in try", "", "try:\nexcept ValueError:\n    y = x\n", "", True, BLOCKS, 2.0, REDONE),
    Direction("brackets", "", "(... * 2)", "", True, LEVELS),
    Direction("calls in calls", "", "torch.relu(...)", "", True, LEVELS),
    Direction("lists in lists", "", "[...]", "", True, LEVELS),
    Direction("comprehensions", "", "[... for a# in sys.argv]", "", True, LEVELS, 1.5, REDONE),
    Direction("sums of sums", "", "sum(... for a# in sys.argv)", "", True, LEVELS, 1.5, REDONE),
    Direction("method chain", "", "....mul(2)", "", True, LEVELS),
    Direction("clauses", "", "... if len(sys.argv) > # else x", "", True, LEVELS),
    Direction("operands", "", "... + x", "", True, LEVELS),
)
