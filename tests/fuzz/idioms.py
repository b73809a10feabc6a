"""What Python programs look like beyond single statements: closures, decorators, properties, inheritance, idioms of
training code. Each writes a few fixed lines around random expressions."""

from __future__ import annotations

from fuzz.definitions import Signature
from fuzz.expressions import BINARY, ELEMENTWISE, condition, tensor
from fuzz.names import DTYPES, SCALAR, Shape, Type
from fuzz.statements import NESTING, body, looping, statement
from fuzz.writer import Writer


def some(w: Writer) -> Type:
    return Type("float", w.shape())


def lines(w: Writer, text: str, **holes: object) -> None:
    """Write several lines; `{name}` in them is filled from `holes`."""
    for line in text.strip("\n").split("\n"):
        w.line(line.format(**holes))


@statement(2)
def chained(w: Writer) -> None:
    want = some(w)
    value = tensor(w, want)
    first, second = w.declare("y", want), w.declare("y", want)
    w.line(f"{first} = {second} = {value}")


@statement(1)
def walrus(w: Writer) -> bool | None:
    if w.depth >= NESTING:
        return False
    want = some(w)
    value, name = tensor(w, want, 2), w.fresh("y")
    with w.block(f"if ({name} := {value}).{w.pick('requires_grad', 'is_leaf', 'is_floating_point()')}:"):
        w.know(name, want)
        body(w, 2)
    w.know(name, want)
    return None


@statement(1)
def starred(w: Writer) -> None:
    want = some(w)
    values = [tensor(w, want, 1) for _ in range(3)]
    first, rest = w.declare("first", want), w.declare("rest", Type("list", want.shape), want.kind, rebindable=False)
    w.line(f"{first}, *{rest} = {w.pick('[{0}, {1}, {2}]', '({0}, {1}, {2})').format(*values)}")


@statement(2)
def returns_two(w: Writer) -> bool | None:
    """A function with two results."""
    if w.functions >= 3 or w.loops or w.depth > 1:
        return False
    source, left, right = some(w), some(w), some(w)
    argument, name = tensor(w, source, 1), w.fresh("split")
    with w.block(f"def {name}(a):", wall=True):
        w.know("a", source)
        if w.chance(0.4):
            body(w, 2)
        w.line(f"return {tensor(w, left, 2)}, {tensor(w, right, 2)}")
    w.line(f"{w.declare('u', left)}, {w.declare('v', right)} = {name}({argument})")
    return None


@statement(1)
def variadic(w: Writer) -> None:
    want = some(w)
    first, second = tensor(w, want, 1), tensor(w, want, 1)
    inner = w.pick(
        "args[0] * scale + args[1]",
        "sum(args) * scale",
        "torch.stack(args).sum(0)",
        "args[0] * options.get('k', scale)",
    )
    call = w.pick(
        "{f}({a}, {b})",
        "{f}(*[{a}, {b}])",
        "{f}({a}, {b}, scale=3.0)",
        "{f}({a}, {b}, k=0.5)",
        "{f}(*({a}, {b}), **{{'scale': 2.0}})",
    )
    name = w.fresh("combine")
    lines(w, "def {f}(*args, scale=2.0, **options):\n    return {inner}", f=name, inner=inner)
    w.line(f"{w.declare('y', want)} = {call.format(f=name, a=first, b=second)}")


@statement(1)
def partial(w: Writer) -> bool | None:
    found = w.find(lambda v: v.type.kind == "function" and len(v.detail.params) > 1 and not v.detail.params[1][2])
    if found is None:
        return False
    first = found.detail.params[0][1]
    name = w.fresh("partial")
    w.line(f"{name} = functools.partial({found.name}, {tensor(w, first, 1)})")
    w.know(name, found.type, Signature(found.detail.params[1:], found.detail.kind), rebindable=False)
    return None


@statement(1)
def counter(w: Writer) -> bool | None:
    """A closure that keeps a tensor."""
    if w.depth > 1 or w.loops:
        return False
    want = some(w)
    start = tensor(w, want, 1)
    with w.block(f"def {(make := w.fresh('make'))}():", wall=True):
        w.line(f"total = {start}")
        with w.block("def add(t):", wall=True):
            w.know("t", want)
            w.know("total", want)
            w.line("nonlocal total")
            w.line(f"total = {w.pick('total + t', 'total * 0.9 + t.detach()', tensor(w, want, 2))}")
            w.line("return total")
        w.line("return add")
    name = w.fresh("add")
    w.line(f"{name} = {make}()")
    w.know(name, Type("function", want.shape), Signature((("t", want, False),), want.kind), rebindable=False)
    return None


@statement(1)
def wrapped(w: Writer) -> bool | None:
    """A decorator of the file."""
    if w.depth or w.loops:
        return False
    want = some(w)
    name, outer = w.fresh("f"), w.fresh("wrap")
    inner = w.pick("function(*args) * 2", "function(*args).detach()", "function(*args)", "function(*args).clone()")
    with w.block(f"def {outer}(function):", wall=True):
        if w.chance(0.5):
            w.line("@functools.wraps(function)")
        with w.block("def inner(*args):", wall=True):
            if w.chance(0.3):
                with w.block("with torch.no_grad():"):
                    w.line(f"return {inner}")
            else:
                w.line(f"return {inner}")
        w.line("return inner")
    w.line(f"@{outer}")
    with w.block(f"def {name}(a):", wall=True):
        w.know("a", want)
        w.line(f"return {tensor(w, want)}")
    w.know(name, Type("function", want.shape), Signature((("a", want, False),), want.kind), rebindable=False)
    return None


CONTEXTS = (
    """
@contextlib.contextmanager
def {f}():
    with torch.no_grad():
        yield
""",
    """
@contextlib.contextmanager
def {f}():
    before = torch.is_grad_enabled()
    torch.set_grad_enabled(False)
    yield
    torch.set_grad_enabled(before)
""",
    """
@contextlib.contextmanager
def {f}():
    yield
""",
    """
class {f}:
    def __enter__(self):
        self.before = torch.is_grad_enabled()
        torch.set_grad_enabled(False)

    def __exit__(self, *error):
        torch.set_grad_enabled(self.before)
""",
)


@statement(1)
def context_of_file(w: Writer) -> bool | None:
    """A context manager of the file."""
    if w.depth or w.loops:
        return False
    name = w.fresh("mode")
    lines(w, w.pick(*CONTEXTS), f=name)
    with w.block(f"with {name}():"):
        body(w, 3)
    return None


@statement(1)
def members(w: Writer) -> bool | None:
    """A class with a property, a static method and a class method."""
    if w.depth or w.functions >= 3:
        return False
    want = some(w)
    cls, instance = w.fresh("Store"), w.fresh("store")
    start = tensor(w, want, 1)
    with w.block(f"class {cls}:"):
        w.line("shared = torch.ones(3)")
        lines(w, "def __init__(self, value):\n    self.value = value")
        w.line("@property")
        with w.block("def doubled(self):", wall=True):
            w.know("self.value", want, rebindable=False)
            w.line(f"return {tensor(w, want, 2)}")
        lines(
            w, "@staticmethod\ndef half(t):\n    return {inner}", inner=w.pick("t / 2", "t.detach() / 2", "t.clone()")
        )
        lines(w, "@classmethod\ndef build(cls, t):\n    return cls({inner})", inner=w.pick("t", "t * 2", "t.detach()"))
        lines(w, "def __call__(self, t):\n    return self.value * t.sum()")
    w.line(f"{instance} = {w.pick(cls, f'{cls}.build')}({start})")
    w.know(f"{instance}.value", want)
    w.know(f"{instance}.doubled", want, rebindable=False)
    signature = Signature((("t", want, False),), want.kind)
    w.know(f"{cls}.half", Type("function", want.shape), signature, rebindable=False)
    w.know(instance, Type("function", want.shape), signature, rebindable=False)
    return None


@statement(2)
def inheritance(w: Writer) -> bool | None:
    """A module that extends another."""
    if w.depth or w.functions >= 3:
        return False
    base, child, instance = w.fresh("Base"), w.fresh("Child"), w.fresh("child")
    inputs, outputs = w.pick(2, 3), w.pick(2, 3)
    result = Type("float", (4, outputs))
    lines(w, """
class {base}(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.linear = nn.Linear({inputs}, size)
        self.frozen = nn.Parameter(torch.zeros(size), requires_grad=False)

    def forward(self, x):
        return self.linear(x) + self.frozen
""", base=base, inputs=inputs)  # fmt: skip
    with w.block(f"class {child}({base}):"):
        with w.block("def __init__(self):", wall=True):
            w.line(f"super().__init__({outputs})")
            w.line(
                w.pick(
                    "self.extra = nn.Linear({0}, {0})",
                    "self.extra = nn.Identity()",
                    "self.extra = nn.ReLU(inplace=True)",
                ).format(outputs)
            )
        with w.block("def forward(self, x):", wall=True):
            w.line(w.pick("h = super().forward(x)", "h = super().forward(x.detach())", f"h = {base}.forward(self, x)"))
            w.know("h", result)
            w.know("self.linear.weight", Type("float", (outputs, inputs)), rebindable=False)
            w.line(f"return self.extra({tensor(w, result, 2)})")
    w.line(f"{instance} = {child}()")
    w.know(
        instance,
        Type("function", result.shape),
        Signature((("x", Type("float", (4, inputs)), False),), "float"),
        rebindable=False,
    )
    w.know(f"{instance} as module", Type("module"), instance, rebindable=False)
    w.know(f"{instance}.frozen", Type("float", (outputs,)), rebindable=False)
    return None


@statement(2)
def stack_of_layers(w: Writer) -> bool | None:
    if w.loops >= 2 or w.depth >= NESTING:
        return False
    shape: Shape = (4, 3)
    start, name, result = tensor(w, Type("float", shape), 1), w.fresh("layers"), w.fresh("h")
    layers = w.among(
        """nn.ModuleList([nn.Linear(3, 3) for _ in range(2)]) | [nn.Linear(3, 3), nn.Linear(3, 3)]
        | nn.ModuleList([nn.Linear(3, 3), nn.ReLU(inplace=True), nn.Linear(3, 3)])"""
    )
    w.line(f"{name} = {layers}")
    w.line(f"{result} = {start}")
    with looping(w, f"for layer in {name}:"):
        step = w.among("layer({0}) | layer({0}).relu() | layer({0}) + {0} | layer({0}.detach())")
        w.line(f"{result} = {step.format(result)}")
    w.know(result, Type("float", shape))
    return None


@statement(2)
def recurrence(w: Writer) -> bool | None:
    """A hidden state that is carried over the steps, and perhaps over the backwards."""
    if w.loops or w.depth > 1:
        return False
    cell, h = w.fresh("cell"), w.fresh("h")
    state = Type("float", (4, 3))
    w.line(f"{cell} = nn.{w.pick('RNNCell', 'GRUCell')}(3, 3)")
    w.line(f"{h} = torch.zeros(4, 3)")
    w.know(h, state)
    with looping(w, f"for {w.fresh('i')} in range({w.pick(2, 3, 10)}):"):
        w.line(f"{h} = {cell}({tensor(w, state, 1)}, {h}{w.pick('', '', '.detach()')})")
        if w.chance(0.5):
            w.line(f"{h}.sum().backward({w.pick('', '', 'retain_graph=True')})")
        if w.chance(0.3):
            w.line(f"{h} = {h}.detach()")
    return None


@statement(2)
def penalty(w: Writer) -> bool | None:
    """A gradient that goes into a loss."""
    source = w.probably_in_graph()
    if source is None:
        return False
    root = f"({source.name} * {tensor(w, source.type, 1)}).pow(2).sum()"
    g, loss = w.fresh("g"), w.fresh("loss")
    w.line(f"{g} = torch.autograd.grad({root}, {source.name}, create_graph={w.pick('True', 'True', 'False')})[0]")
    w.know(g, source.type)
    how = w.among("{g}.norm() | ({g} ** 2).sum() | {g}.pow(2).mean() + {e}")
    w.line(f"{loss} = {how.format(g=g, e=tensor(w, Type(source.type.kind), 1))}")
    w.know(loss, Type(source.type.kind))
    return None


@statement(2)
def averaged(w: Writer) -> bool | None:
    """A moving average of a module's parameters."""
    found = w.find(lambda v: v.type.kind == "module")
    if found is None or w.depth > 1 or w.loops:
        return False
    name = w.fresh("average")
    w.line(f"{name} = copy.deepcopy({found.detail})")
    w.know(f"{name} as module", Type("module"), name, rebindable=False)
    with w.block(w.pick("with torch.no_grad():", "with torch.no_grad():", "if True:")):
        w.line(f"for q, p in zip({name}.parameters(), {found.detail}.parameters()):")
        w.line(
            "    "
            + w.pick(
                "q.mul_(0.9).add_(p, alpha=0.1)",
                "q.copy_(p)",
                "q.data = p.data",
                "q.data.mul_(0.9).add_(p.data, alpha=0.1)",
                "q.requires_grad_(False)",
            )
        )
    return None


@statement(2)
def mapping_loop(w: Writer) -> bool | None:
    if w.loops >= 2 or w.depth >= NESTING:
        return False
    want = some(w)
    name = w.fresh("parts")
    w.line(f"{name} = {{'a': {tensor(w, want, 1)}, 'b': {tensor(w, want, 1)}}}")
    if w.chance(0.5):
        w.line(
            w.pick("{0}['c'] = {1}", "{0}.update(c={1})", "{0}.setdefault('c', {1})").format(name, tensor(w, want, 1))
        )
    if w.chance(0.4):
        value = w.among("sum({0}.values()) | {0}.get('a') | {0}.pop('b') | list({0}.values())[0] | {0}['a'] + {0}['b']")
        w.line(f"{w.declare('y', want)} = {value.format(name)}")
        return None
    with looping(w, w.pick("for k, t in {0}.items():", "for t in {0}.values():").format(name)):
        w.know("t", want)
        body(w, 3)
    return None


@statement(1)
def record(w: Writer) -> bool | None:
    """A dataclass or a namedtuple."""
    if w.depth:
        return False
    types = [some(w), some(w)]
    values = [tensor(w, t, 1) for t in types]
    cls, name = w.fresh("Batch"), w.fresh("batch")
    frozen = w.chance(0.4)
    if frozen:
        w.line(f"{cls} = collections.namedtuple('{cls}', 'a b')")
    else:
        lines(w, "@dataclasses.dataclass\nclass {cls}:\n    a: torch.Tensor\n    b: torch.Tensor", cls=cls)
    w.line(f"{name} = {cls}({w.pick('{0}, {1}', 'a={0}, b={1}', 'b={1}, a={0}').format(*values)})")
    for attribute, type_ in zip("ab", types, strict=True):
        w.know(f"{name}.{attribute}", type_, rebindable=not frozen)
    return None


@statement(1)
def batches(w: Writer) -> bool | None:
    """A data loader."""
    if w.loops or w.depth > 1:
        return False
    data, rows = w.fresh("data"), tensor(w, Type("float", (4, 3)), 1)
    w.line(f"{data} = torch.utils.data.TensorDataset({rows}.detach(), torch.randn(4))")
    with looping(w, f"for xs, ys in torch.utils.data.DataLoader({data}, batch_size={w.pick(2, 4)}):"):
        w.line("xs = xs[:2]")
        w.know("xs", Type("float", (2, 3)))
        body(w, 3)
    return None


@statement(1)
def distribution(w: Writer) -> None:
    want = Type("float", w.pick((), (3,), (4, 3)))
    mean, scale = tensor(w, want, 1), tensor(w, want, 1)
    how = w.pick("rsample()", "sample()", "log_prob({0})", "mean", "entropy()", "sample().detach()")
    name = w.fresh("normal")
    value = f"{name}.{how.format(tensor(w, want, 1))}"
    w.line(f"{name} = torch.distributions.Normal({mean}, {scale}.abs() + 1)")
    w.line(f"{w.declare('y', want)} = {value}")


@statement(1)
def schedule(w: Writer) -> bool | None:
    found = w.find(lambda v: v.type.kind == "optimizer")
    if found is None or w.depth or w.loops:
        return False
    name = w.fresh("scheduler")
    w.line(f"{name} = torch.optim.lr_scheduler.StepLR({found.name}, 1)")
    loss = tensor(w, SCALAR)
    w.line(f"{found.name}.zero_grad()")
    w.line(f"{loss}.backward()")
    w.line(f"{found.name}.step()")
    w.line(f"{name}.step()")
    return None


@statement(1)
def numpy_of_several(w: Writer) -> None:
    want = Type("float", w.pick((), (3,)))
    first, second = tensor(w, want, 1), tensor(w, want, 1)
    name = w.fresh("array")
    value = w.among(
        """np.stack([{0}, {1}]) | np.sqrt({0}) | np.concatenate([{0}.reshape(-1), {1}.reshape(-1)])
        | np.asarray([{0}.detach(), {1}.detach()]) | np.add({0}.detach().numpy(), 1) | np.asarray({0}).mean()
        | np.array([{0}.sum().item(), {1}.sum().item()]) | np.square({0}.detach().numpy()) | np.float64(2.0) * {0}"""
    )
    w.line(f"{name} = {value.format(first, second)}")


@statement(1)
def late_condition(w: Writer) -> bool | None:
    """A variable that exists on one path only, and is used on that path."""
    if w.depth >= NESTING - 1:
        return False
    want = some(w)
    flag, name = w.fresh("flag"), w.fresh("late")
    w.line(f"{flag} = {condition(w)}")
    with w.block(f"if {flag}:"):
        w.line(f"{name} = {tensor(w, want, 2)}")
    with w.block(f"if {flag}:"):
        w.know(name, want)
        body(w, 2)
    return None


def applied(w: Writer, want: Type, first: str, second: str | None = None) -> str:
    """An op on given operands."""
    template = w.pick(*ELEMENTWISE) if second is None else w.pick(*ELEMENTWISE, *BINARY)
    return template.format(first, second, dtype=DTYPES[want.kind])


@statement(4)
def written_after_use(w: Writer) -> bool | None:
    """A value that backward may need is written before backward runs."""
    source = w.probably_in_graph()
    if source is None:
        return False
    want = source.type
    mid, end = w.fresh("mid"), w.fresh("end")
    other = tensor(w, want, 1)
    w.line(f"{mid} = {applied(w, want, source.name, other)}")
    w.line(f"{end} = {applied(w, want, mid, w.pick(mid, source.name, other))}")
    w.know(mid, want)
    w.know(end, want)
    target = w.pick(mid, mid, end, source.name)
    text = w.among(
        """{0}.add_(1) | {0} += 1 | {0}.mul_(2) | {0}.detach().add_(1) | {0}.data.add_(1) | {0}.zero_() | {0}[...] = 0.0
        | {0} *= 2 | {0}.view(-1).add_(1) | {0}.relu_() | {0} = {0} + 1 | {0}.requires_grad"""
    ).format(target)
    if w.chance(0.4) and w.depth < NESTING:
        with w.block("with torch.no_grad():"):
            w.line(text)
    elif " = " not in text or target != source.name:
        w.line(text)
    w.line(f"{w.pick(mid, end, end)}.sum().backward({w.pick('', '', 'retain_graph=True')})")
    return None


@statement(3)
def shared_graph(w: Writer) -> bool | None:
    """Two backwards through a common part."""
    source = w.probably_in_graph()
    if source is None:
        return False
    want = source.type
    hidden = w.fresh("hidden")
    start = f"{tensor(w, want, 1)} * {source.name}" if w.chance(0.3) else applied(w, want, source.name)
    w.line(f"{hidden} = {start}")
    w.know(hidden, want)
    for _ in range(w.pick(2, 2, 3)):
        used = w.pick("{0}", "{0}", "{0}", "{0}.detach()").format(hidden)
        w.line(f"({applied(w, want, used)}).sum().backward({w.pick('', '', 'retain_graph=True')})")
        if w.chance(0.2):
            body(w, 1)
    return None


@statement(3)
def made_in_inference(w: Writer) -> bool | None:
    """What inference mode made is used where a graph is built."""
    source = w.probably_in_graph()
    if source is None or w.depth >= NESTING:
        return False
    want = source.type
    name = w.fresh("fast")
    with w.block("with torch.inference_mode():"):
        w.line(f"{name} = {applied(w, want, source.name)}")
    if w.chance(0.3):
        how = w.among("clone() | detach() | clone().requires_grad_() | view_as({0})")
        w.line(f"{name} = {name}.{how.format(name)}")
    w.know(name, want)
    text = w.among(
        """{r} = {t} * {s} | {r} = {t} + {s} | {r} = {s} / ({t} + 3) | {r} = {s}.exp() - {t} | {t}.add_(1)
        | {t}.requires_grad_() | {r} = {s}.where({t} > 0, {t})"""
    )
    w.line(text.format(r=w.fresh("y"), s=source.name, t=name))
    return None
