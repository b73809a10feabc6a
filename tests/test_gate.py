"""The gate lets through what can have a part in a finding, and little else."""

from __future__ import annotations

import ast
import subprocess
import sys
import tokenize
from collections import Counter
from pathlib import Path

import pytest

from flake8_detach import rules
from flake8_detach.config import Settings
from flake8_detach.gate import Gate, gate
from flake8_detach.rules._base import Rule
from flake8_detach.source import Source

SAMPLE = sorted(Path(__file__).with_name("corpus_sample").glob("*.py"))


def rule(*sets: str) -> Rule:
    """A rule with these triggers, each given as words with spaces between them."""

    class Fake(Rule):
        triggers = tuple(frozenset(words.split()) for words in sets)

    return Fake()


BACKWARD = rule("backward")
NUMPY = rule("numpy", "torch")
GRAD = rule(".grad")


def kept(text: str, *some: Rule) -> str:
    """The chunks that the gate keeps, each by the letter in the `#` comment at its end; `-` for an import."""
    source = Source(text)
    marks = []
    for index in sorted(gate(source, some or (BACKWARD,))):
        chunk = source.chunks[index]
        imports = all(isinstance(statement, (ast.Import, ast.ImportFrom)) for statement in chunk.tree.body)
        marks.append("-" if imports else chunk.text.rstrip().rpartition("# ")[2])
    return "".join(marks)


# Words


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x = 1",
        "'''A docstring about loss.backward(), which is long enough to be prose and not the name of anything.'''",
        "# loss.backward()",
        "forward_backward = 1",
        "backwards()",
        "import torch",
        "import backward",
    ],
)
def test_a_file_without_the_word_has_nothing_to_analyse(text: str) -> None:
    assert gate(Source(text), [BACKWARD]) == frozenset()


@pytest.mark.parametrize(
    "text",
    [
        "loss.backward()",
        "getattr(loss, 'backward')()",
        "step(loss, backward=True)",
        "def step(backward): pass",
        "def backward(): pass",
        "class backward: pass",
        "backward(loss)",
        "run = lambda loss: loss.backward()",
        "f'{loss.backward()}'",
        "for x in y:\n    try:\n        pass\n    except E as backward:\n        pass",
        "match x:\n    case {'k': backward}:\n        pass",
        "match x:\n    case C(backward=1):\n        pass",
        "def f():\n    global backward",
        "def f():\n    class A:\n        def g(self):\n            return [x.backward() for x in self.y]",
        "async def f():\n    async with a:\n        await b.backward()",
        "x[backward:1]",
        "del x.backward",
    ],
)
def test_the_word_counts_wherever_an_identifier_can_stand(text: str) -> None:
    assert gate(Source(text), [BACKWARD]) == {0}


def test_a_word_with_a_dot_counts_only_as_an_attribute() -> None:
    text = "grad = f(grad)  # a\nx.grad  # b\ngetattr(x, 'grad')  # c\nx.grad_fn  # d\nx.zero_grad()  # e\n"
    assert kept(text, GRAD) == "bc"


def test_writes_can_be_actions() -> None:
    text = """
from torch import relu_
from torch.nn.init import zeros_
from .layers import normal_
def a(x): x.w = 1  # a
def b(x): x[0] = 1  # b
def c(x): x -= 1  # c
def d(x): x.add_(1)  # d
def e(x): relu_(x)  # e
def f(x): init.zeros_(zeros_(normal_(x.__len__(x.requires_grad_()))))  # f
"""
    assert kept(text, rule(".w=")) == "---a"
    assert kept(text, rule("[]=")) == "---b"
    assert kept(text, rule("+=")) == "---c"
    assert kept(text, rule("._")) == "---de"


def test_no_action_takes_place_in_types() -> None:
    text = """
import numpy as np
import torch
def f(x: np.ndarray, *y: "np.ndarray") -> np.ndarray: pass  # a
class Array(np.ndarray): pass  # b
z: np.ndarray  # c
isinstance(z, np.ndarray)  # d
torch.tensor(z, dtype=np.float32)  # e
np.float32(1)  # f
def g(x: np.ndarray = np.ones(1)): pass  # g
"""
    assert kept(text, NUMPY) == "--fg"


def test_every_set_of_a_rule_must_be_met() -> None:
    assert kept("import numpy\nnumpy.ones(1)  # a\n", NUMPY) == ""
    assert kept("import numpy\nnumpy.ones(1)  # a\nimport torch\n", NUMPY) == "-a-"


def test_the_other_sets_must_be_met_by_what_hangs_together_with_the_action() -> None:
    text = """
import numpy
def f(x): return numpy.ones(x)  # a
def g(): return Parameter()  # b
"""
    assert kept(text, rule("numpy", "Parameter")) == ""
    assert kept(text + "f(g())  # c\n", rule("numpy", "Parameter")) == "-abc"


def test_only_the_first_set_marks_the_chunks_in_which_a_rule_can_report() -> None:
    assert kept("import numpy, torch\ntorch.ones(1)  # a\nnumpy.ones(1)  # b\n", NUMPY) == "-b"


def test_a_rule_without_triggers_looks_at_everything() -> None:
    assert kept("x = 1  # a\ny = 2  # b\n", rule()) == "ab"


@pytest.mark.parametrize(
    ("statement", "use"),
    [
        ("import numpy as xp", "xp.ones(1)"),
        ("import numpy.linalg as la", "la.norm(1)"),
        ("from numpy import asarray as convert", "convert(1)"),
        ("from numpy.linalg import norm", "norm(1)"),
        ("def f():\n    import numpy as xp  # -\nglobal_ = 1", "xp.ones(1)"),
    ],
)
def test_a_word_stands_for_the_names_that_it_is_imported_under(statement: str, use: str) -> None:
    assert kept(f"import torch\n{statement}\nother()  # a\n{use}  # b\n", NUMPY).endswith("b")
    assert "a" not in kept(f"import torch\n{statement}\nother()  # a\n{use}  # b\n", NUMPY)


def test_after_a_star_import_of_the_module_any_name_may_be_of_it() -> None:
    assert kept("import torch\nfrom numpy import *\nasarray(x)  # a\n", NUMPY) == "--a"


def test_identifiers_are_compared_as_python_does() -> None:
    assert kept("loss.bac\N{MATHEMATICAL BOLD SMALL K}ward()  # a\n") == "a"


# Forms

CLASS = "class A(nn.Module):\n    def __init__(self, x):\n        "


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("()", "import torch\ntorch.f(1)"),
        ("()", "from .a import f\nf(main())"),
        ("requires_grad=True", "torch.ones(1, requires_grad=True)"),
        ("requires_grad=True", "x.requires_grad_(y)"),
        ("requires_grad=True", "x.requires_grad = not y.requires_grad"),
        ("requires_grad=True", "map(torch.Tensor.requires_grad_, y)"),
        ("Parameter(?)", "nn.Parameter(torch.arange(3))"),
        ("Parameter(?)", "nn.Parameter(torch.ones(3, dtype=dtype))"),
        ("Parameter(?)", "nn.Parameter(torch.tensor([1, 2]))"),
        ("Parameter(?)", "nn.Parameter(x.detach())"),
        ("Parameter(?)", "nn.Parameter(torch.ones(3).to(d))"),
        ("Parameter(?)", "nn.Parameter(f(x))"),
        ("Parameter(?)", "map(nn.Parameter, x)"),
        ("Parameter(?)", "getattr(nn, 'Parameter')(x)"),
        ("Parameter(**)", "nn.Parameter(torch.ones(3, **options))"),
        ("dtype=int", "options = {'dtype': torch.long}"),
        ("dtype=int", "options = dict(dtype=torch.int8)"),
        ("=[", CLASS + "self.a = [f(i) for i in x]"),
        ("=[", CLASS + "self.a = []\n\ndef fill(net, layer):\n    net.a.append(layer)"),
        ("Parameter=", CLASS + "self.a = nn.Parameter(x)\n        self.a = x"),
        ("Parameter+=", CLASS + "self.a = nn.Parameter(x)\n\ndef f(net):\n    net.a[0] = 1"),
        ("Parameter+=", CLASS + "self.a = nn.Parameter(x)\n\ndef f(net):\n    net.a.add_(1)"),
        ("register_parameter(?)", CLASS + "self.register_parameter('a', x)"),
        ("register_parameter(?)", CLASS + "self.register_parameter('a.b', None)"),
        ("register_parameter(?)", CLASS + "for name in x:\n            self.register_parameter(name, None)"),
        ("__init__ after =", CLASS + "self.register_parameter('a', None)\n        super().__init__()"),
        ("inference_mode&", "def f():\n    with torch.inference_mode:\n        pass"),
        ("inference_mode&", "from torch import inference_mode\ndef f():\n    g(inference_mode)"),
    ],
)
def test_a_form_is_seen(form: str, text: str) -> None:
    assert form in words(text)


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("()", "from .a import f\nf({'a': 1})"),
        ("()", "import torch\nx = torch.f(1)"),
        ("requires_grad=True", "nn.Parameter(x, requires_grad=True)"),
        ("requires_grad=True", "x.requires_grad_(y.requires_grad)"),
        ("requires_grad=True", "torch.ones(1, requires_grad=False)"),
        ("Parameter(?)", "nn.Parameter(torch.ones(3))"),
        ("Parameter(?)", "nn.Parameter(0.1 * torch.ones(3, dtype=torch.float32).clone())"),
        ("Parameter(?)", "nn.Parameter(torch.tensor(0.5))"),
        ("Parameter(?)", "from .a import f\nnn.Parameter(f(x))"),
        ("Parameter(?)", "def f(x: nn.Parameter): pass"),
        ("dtype=int", "options = {'dtype': dtype}"),
        ("=[", "class A:\n    def __init__(self, x):\n        self.a = [f(i) for i in x]"),
        ("=[", CLASS + "self.a = [names.index(i) for i in x]"),
        ("=[", CLASS + "self.a = []"),
        ("Parameter=", CLASS + "self.a = nn.Parameter(x) if x else None"),
        ("Parameter+=", CLASS + "self.a = nn.Parameter(x)\n        x[0] = 1"),
        ("register_parameter(?)", CLASS + "self.register_parameter('a', None)"),
        ("register_parameter(?)", CLASS + "self.register_parameter('a', nn.Parameter(x))"),
        ("__init__ after =", CLASS + "super().__init__()\n        self.register_parameter('a', None)"),
        ("inference_mode&", "def f(inference_mode):\n    g(inference_mode=inference_mode)"),
        ("inference_mode", "def f(self, inference_mode):\n    self.inference_mode = inference_mode"),
        ("storage", "url = 'https://storage.googleapis.com/a'"),
    ],
)
def test_a_form_is_not_seen_where_nothing_can_come_of_it(form: str, text: str) -> None:
    assert form not in words(text)


def words(text: str) -> set[str]:
    """All words and forms of a file."""
    return set().union(*(fact.words for fact in Gate(Source(text)).facts))


# Chunks


def test_callers_and_what_they_need_are_kept_and_the_rest_is_not() -> None:
    text = """
import torch
WIDTH = 4  # a
UNUSED = 5  # b
def helper(x): return x  # c
def train(x): helper(x).backward()  # d
def unrelated(x): return helper(x)  # e
def main(): train(torch.ones(WIDTH))  # f
main()  # g
"""
    assert kept(text) == "-acdfg"


@pytest.mark.parametrize(
    "change",
    [
        "net.w = 1",
        "net.layers[0] = 1",
        "net['w'] = 1",
        "net += 1",
        "del net.w",
        "net.apply(f)",
        "freeze(net)",
        "setattr(net, 'w', 1)",
        "other = net",
        "for p in net.parameters(): p.requires_grad = False",
        "with hook(net): pass",
        "if FAST: net = None",
        "try: net = load()\nexcept OSError: pass",
        "[p.requires_grad_(False) for p in net.parameters()]",
        "run(lambda: net.eval())",
        "(net := None)",
        "[net := p for p in ()]",
        "from layers import net",
    ],
)
def test_whatever_may_change_a_needed_variable_is_needed(change: str) -> None:
    text = f"from torch import nn\nnet = nn.Linear(1, 1)  # a\n{change}  # b\ndef f(x): net(x).backward()  # c\n"
    assert kept(text) in ("-abc", "-a-c")


def test_a_change_through_an_alias_is_needed() -> None:
    text = """
from torch import nn
net = nn.Linear(1, 1)  # a
alias = net  # b
alias.requires_grad_(False)  # c
other = nn.Linear(1, 1)  # d
other.requires_grad_(False)  # e
def f(x): net(x).backward()  # f
"""
    assert kept(text) == "-abcf"


def test_a_change_in_a_function_counts_if_the_module_calls_it() -> None:
    text = """
from torch import nn
net = nn.Linear(1, 1)  # a
def freeze(): net.requires_grad_(False)  # b
def idle(): torch.rand(1)  # c
def prepare(): freeze()  # d
prepare()  # e
def f(x): net(x).backward()  # f
"""
    assert kept(text) == "-abdef"


def test_a_name_that_a_function_rebinds_needs_that_function() -> None:
    text = """
state = None  # a
def reset():
    global state
    state = []  # b
def f(): state.backward()  # c
"""
    assert kept(text) == "abc"


def test_what_a_caller_keeps_in_a_variable_comes_to_those_who_read_it() -> None:
    text = """
HANDLERS = {}  # a
LIMIT = 3  # b
def register(f): HANDLERS[f.__name__] = f  # c
@register
def train(x): x.backward()  # d
def run(name, x): HANDLERS[name](x)  # e
def main(): run('train', 1)  # f
def idle(): return LIMIT  # g
"""
    assert kept(text) == "acdef"


def test_an_instance_of_an_acting_class_is_found_by_the_name_of_the_class() -> None:
    text = """
class Trainer:
    def fit(self, loss): loss.backward()  # a
class Child(Trainer): pass  # b
def make(): return Child()  # c
def main(): make().fit(loss())  # d
def loss(): return 0  # e
def idle(): return loss()  # f
"""
    assert kept(text) == "abcde"


def test_annotations_tell_what_a_parameter_is() -> None:
    text = """
class Trainer:
    def fit(self, loss): loss.backward()  # a
def one(trainer: Trainer): trainer.fit(1)  # b
def two(trainer: "list[Trainer]"): trainer[0].fit(1)  # c
def three(trainer): trainer.fit(1)  # d
"""
    assert kept(text) == "abc"


def test_the_annotation_of_a_result_matters_where_the_result_is_used() -> None:
    text = """
class Trainer:
    def fit(self, loss): loss.backward()  # a
def used() -> Trainer: return unknown()  # b
def unused() -> "Trainer": return unknown()  # c
def main(): used().fit(1)  # d
"""
    assert kept(text) == "abd"


def test_what_is_handed_to_another_package_is_out_of_reach() -> None:
    text = """
from .registry import build
import torch
class Net:
    def fit(self, loss): loss.backward()  # a
def create(): return build(Net, kind=dict(net=Net))  # b
def compiled(): return torch.compile(Net)  # c
def later(): return build(lambda: Net())  # d
def shown(): return [net for net in tqdm([Net])]  # e
"""
    assert kept("from .bars import tqdm" + text) == "---acd"
    assert kept("from tqdm import tqdm" + text) == "---acde"


def test_a_local_variable_is_not_the_top_level_one() -> None:
    text = """
x = load()  # a
def f(x): x.backward()  # b
def g():
    x = 1
    return [x for y in x]  # c
def h(y): return [x.backward() for x in y], {i: (lambda i: i) for i in y}  # d
i = load()  # e
"""
    assert kept(text) == "bd"


def test_but_a_name_beside_a_local_one_may_be() -> None:
    text = """
x = load()  # a
def f(y, z=x):
    def x2(x): return x
    return [y for x in y], y.backward()  # b
"""
    assert kept(text) == "ab"


@pytest.mark.parametrize(
    "effect",
    [
        "torch.set_grad_enabled(False)",
        "torch.no_grad().__enter__()",
        "stack.enter_context(torch.no_grad())",
        "torch.Tensor.mean = None",
        "setattr(torch, 'exp', None)",
        "raise SystemExit",
        "sys.exit(0)",
        "exit()",
        "while True: pass",
        "if not torch.cuda.is_available(): quit()",
    ],
)
def test_effects_that_name_nothing_are_kept(effect: str) -> None:
    assert kept(f"import torch, sys\nidle()  # a\n{effect}  # b\nx.backward()  # c\n") == "-bc"
    assert kept(f"import torch, sys\n{effect}  # b\n") == ""


def test_an_effect_in_a_function_is_kept_if_the_module_calls_it() -> None:
    text = """
import torch
def off(): torch.set_grad_enabled(False)  # a
def on(): torch.set_grad_enabled(True)  # b
off()  # c
x.backward()  # d
"""
    assert kept(text) == "-acd"


@pytest.mark.parametrize("call", ["globals()['y']()", "exec('y = 1')", "eval('y')"])
def test_where_names_are_made_at_run_time_everything_is_kept(call: str) -> None:
    assert kept(f"y = 1  # a\n{call}  # b\nx.backward()  # c\n") == "abc"


def test_evaluation_mode_is_not_the_builtin_eval() -> None:
    assert kept("y = 1  # a\nnet.eval()  # b\nx.backward()  # c\n") == "c"


def test_constants_that_list_names_use_none_of_them() -> None:
    assert kept("__all__ = ['f', 'g']  # a\ndef f(x): x.backward()  # b\ndef g(): pass  # c\n") == "b"


def test_statements_on_one_line_are_one_chunk() -> None:
    assert gate(Source("import torch; x = 1\ny = 2; y.backward()\nz = 3"), [BACKWARD]) == {1}


def test_a_deep_tree_is_no_problem() -> None:
    deep = "x = " + "a." * 2000 + "backward()\n" + "y = 1" + " + 1" * 3000 + "\n"
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(100_000)
    try:
        tree = ast.parse(deep)
    finally:
        sys.setrecursionlimit(limit)
    assert gate(Source(deep, tree), [BACKWARD]) == {0}


def test_the_gate_does_not_load_libcst() -> None:
    script = "import sys, flake8_detach.gate; sys.exit('libcst' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


# The whole


def findings(path: Path, settings: Settings) -> list[tuple[str, int, int, str]]:
    with tokenize.open(path) as stream:
        source = Source(stream.read())
    return [(f.code, f.span.line, f.span.column, f.message) for f in rules.check(source, settings)]


@pytest.mark.parametrize("path", SAMPLE, ids=lambda path: path.stem)
def test_gate_on_and_off_find_the_same(path: Path) -> None:
    assert findings(path, Settings(gate=True)) == findings(path, Settings(gate=False))


def test_the_sample_puts_the_gate_to_the_test() -> None:
    found = Counter(code for path in SAMPLE for code, *_ in findings(path, Settings(gate=True)))
    assert found["AGD101"] >= 8
    assert found["AGD102"] >= 3
    assert found["AGD201"] >= 2
    assert found["AGD202"] >= 1
    skipped = 0
    for path in SAMPLE:
        source = Source(path.read_text(encoding="utf-8"))
        some = [rule for rule in rules.load().values() if rule.triggers]
        skipped += len(source.chunks) - len(gate(source, some))
    assert skipped >= 20
