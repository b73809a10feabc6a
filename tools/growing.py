"""Programs that grow in one direction: does the work grow with them, and no faster? For bench.py and the tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

HEAD = "import sys\n\nimport numpy as np\nimport torch\nfrom torch import nn\n\n"
LEAF = "x = torch.ones(3, requires_grad=True)\n"

UNIT = """
class Net{n}(nn.Module):
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


def train{n}(batches, width={n}):
    net = Net{n}(width)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    for x, y in batches:
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(net(x), y)
        detached = loss.detach()
        loss.backward()
        optimizer.step()
        net.total += detached.item()
    return np.asarray(net.total), net.first.weight.numpy()


train{n}([(torch.rand(2, {n}), torch.rand(2, 1))])
"""
"""Code that the gate lets through whole: a class, a loop, calls, attributes, and one thing to report."""


def lines(size: int) -> str:
    """A file of about `size` lines."""
    return HEAD + "".join(UNIT.format(n=number) for number in range(1, size // UNIT.count("\n") + 1))


def calls(depth: int) -> str:
    """Functions that call each other, `depth` deep."""
    text = HEAD + "def f0(x):\n    return (x * 2).sum()\n\n\n"
    text += "".join(f"def f{n}(x):\n    return f{n - 1}(x) + 1\n\n\n" for n in range(1, depth))
    return text + LEAF + f"f{depth - 1}(x).backward()\n"


def branches(count: int) -> str:
    """One function with `count` branches, one after the other."""
    body = "".join(f"    if flags[{n}]:\n        y = y + {n}\n" for n in range(count))
    return (
        HEAD + f"def step(flags, x):\n    y = x * 2\n{body}    return y\n\n\n" + LEAF + "step(sys.argv, x).backward()\n"
    )


def nested_branches(depth: int) -> str:
    """`if` within `if`."""
    return _nested(depth, lambda n: f"if len(sys.argv) > {n}:\n")


def nested_loops(depth: int) -> str:
    """`for` within `for`; Python allows 20."""
    return _nested(depth, lambda n: f"for a{n} in range(len(sys.argv)):\n")


def nested_expression(depth: int) -> str:
    """Brackets within brackets."""
    return HEAD + LEAF + "y = " + "(" * depth + "x" + " * 2)" * depth + "\ny.sum().backward()\n"


def chain(length: int) -> str:
    """One graph of `length` nodes, backwarded twice."""
    return HEAD + LEAF + "y = x\n" + "y = y * 2\n" * length + "loss = y.sum()\nloss.backward()\nloss.backward()\n"


def layers(count: int) -> str:
    """A module of `count` layers."""
    made = "".join(f"        self.a{n} = nn.Linear(3, 3)\n" for n in range(count))
    used = "".join(f"        x = self.a{n}(x)\n" for n in range(count))
    return (
        HEAD
        + f"class Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n{made}\n"
        + f"    def forward(self, x):\n{used}        return x\n\n\nNet()(torch.ones(3)).sum().backward()\n"
    )


def _nested(depth: int, header: Callable[[int], str]) -> str:
    body = "".join("    " * n + header(n) for n in range(depth)) + "    " * depth + "y = y * 2\n"
    return HEAD + LEAF + "y = x\n" + body + "y.sum().backward()\n"


class Direction(NamedTuple):
    """One way to grow. `sizes`: what is measured; `make(size)` is the program."""

    name: str
    make: Callable[[int], str]
    sizes: tuple[int, ...]


DIRECTIONS = (
    Direction("call depth", calls, (10, 20, 50, 100, 200)),
    Direction("branches", branches, (20, 100, 500, 2000)),
    Direction("nested branches", nested_branches, (10, 20, 40, 95)),
    Direction("nested loops", nested_loops, (6, 9, 13, 19)),
    Direction("nested brackets", nested_expression, (10, 25, 50, 100)),
    Direction("graph length", chain, (100, 500, 2000)),
    Direction("layers", layers, (10, 50, 200)),
)
