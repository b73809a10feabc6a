"""Random statements: assignments, writes in place, flags, gradients, backward, branches, loops, modes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TypeAlias

from fuzz.expressions import condition, factory, number, tensor
from fuzz.names import NUMBER, SCALAR, Type, as_tuple, default
from fuzz.writer import Writer

Maker: TypeAlias = Callable[[Writer], "bool | None"]
STATEMENTS: list[tuple[int, Maker]] = []
"""Writers of statements with their weights; one that finds nothing to work on returns False."""

NESTING = 3


def statement(weight: int) -> Callable[[Maker], Maker]:
    """Decorator: the function writes one statement."""

    def add(function: Maker) -> Maker:
        STATEMENTS.append((weight, function))
        return function

    return add


def write(w: Writer) -> None:
    """One statement."""
    w.budget -= 1
    for _ in range(8):
        if w.weighted(STATEMENTS)(w) is not False:
            return


def body(w: Writer, most: int = 4) -> None:
    for _ in range(w.random.randint(1, most)):
        write(w)


# Values


@statement(10)
def leaf(w: Writer) -> None:
    want = Type("double" if w.chance(0.08) else "float", w.shape())
    made = factory(w, want)
    if "requires_grad" not in made and made.endswith(")") and w.chance(0.4):
        made = f"{made[:-1]}, requires_grad=True)" if "nn.Parameter" not in made else made
    w.line(f"{w.declare('x', want)} = {made}")


@statement(22)
def assign(w: Writer) -> None:
    want = w.tensor_type()
    value = tensor(w, want)
    w.line(f"{w.declare('y', want)} = {value}")


@statement(7)
def scalar(w: Writer) -> None:
    value = tensor(w, SCALAR)
    w.line(f"{w.declare('loss', SCALAR)} = {value}")


@statement(9)
def rebind(w: Writer) -> bool | None:
    old = w.some_tensor(rebindable=True)
    if old is None:
        return False
    value = tensor(w, old.type)
    if value.strip("()") == old.name:
        return False
    w.line(f"{old.name} = {value}")
    return None


@statement(3)
def alias(w: Writer) -> bool | None:
    old = w.some_tensor()
    if old is None:
        return False
    w.line(f"{w.declare('y', old.type)} = {old.name}")
    return None


@statement(3)
def unpack(w: Writer) -> None:
    types = [w.tensor_type(), w.tensor_type()]
    values = [tensor(w, t, 2) for t in types]
    if w.chance(0.3):
        same = w.find(lambda v: v.type.floating, rebindable=True)
        other = same and w.find(lambda v: v.type == same.type and v.name != same.name, rebindable=True)
        if same and other:
            w.line(f"{same.name}, {other.name} = {other.name}, {same.name}")
            return
    w.line(f"{w.declare('u', types[0])}, {w.declare('v', types[1])} = {values[0]}, {values[1]}")


@statement(3)
def two_results(w: Writer) -> None:
    """An op with several outputs."""
    shape = w.pick((3,), (4, 3), (3, 3))
    source = tensor(w, Type("float", shape), 2)
    less, index = Type("float", shape[:-1]), Type("int", shape[:-1])
    if w.chance(0.5):
        how = w.pick("max", "min", "median")
        w.line(f"{w.declare('top', less)}, {w.declare('where', index)} = {source}.{how}(dim=-1)")
    elif len(shape) == 2 and w.chance(0.5):
        rows = ", ".join(w.declare("row", Type("float", shape[1:])) for _ in range(shape[0]))
        w.line(f"{rows} = {source}{w.pick('', '.unbind(0)')}")
    else:
        half = Type("float", (*shape[:-1], 2))
        double = tensor(w, Type("float", (*shape[:-1], 4)), 1)
        parts = f"{w.declare('left', half)}, {w.declare('right', half)}"
        w.line(f"{parts} = {double}.{w.pick('chunk(2, -1)', 'split(2, dim=-1)')}")


@statement(4)
def python_number(w: Writer) -> None:
    value = number(w)
    w.line(f"{w.declare('n', NUMBER)} = {value}")


@statement(2)
def flag(w: Writer) -> None:
    value = w.pick("True", "False", condition(w))
    w.line(f"{w.declare('flag', Type('flag'))} = {value}")


@statement(4)
def array(w: Writer) -> None:
    shape = w.pick((3,), (4, 3), (3, 3))
    source = tensor(w, Type("float", shape), 1)
    value = w.pick(
        "{0}.detach().numpy()", "{0}.detach().numpy()", "{0}.detach().cpu().numpy()", "{0}.numpy()", "np.asarray({0})",
        "np.asarray({0}.detach())", "{0}.data.numpy()", "np.ones({1}, dtype=np.float32)", "{0}.cpu().numpy()",
        "{0}.detach().numpy() * 2", "np.array({0})", "np.array({0}.tolist(), dtype=np.float32)",
        "{0}.numpy(force=True)", "np.asarray([t.item() for t in {0}.flatten()], dtype=np.float32).reshape({1})",
    ).format(source, as_tuple(shape))  # fmt: skip
    w.line(f"{w.declare('array', Type('array', shape))} = {value}")


@statement(2)
def array_under_no_grad(w: Writer) -> None:
    shape = w.pick((3,), (4, 3))
    with w.block("with torch.no_grad():"):
        source = tensor(w, Type("float", shape), 1)
        w.line(f"{w.fresh('array')} = {source}.numpy()")


@statement(1)
def mixed_with_numpy(w: Writer) -> bool | None:
    held = w.find(lambda v: v.type.kind == "array")
    if held is None:
        return False
    source = tensor(w, Type("float", held.type.shape), 1)
    value = w.among("{0} * torch.from_numpy({1}) | torch.from_numpy({1}) + {0} | {0} + {1}").format(source, held.name)
    w.line(f"{w.declare('y', Type('float', held.type.shape))} = {value}")
    return None


# Writes


@statement(6)
def augment(w: Writer) -> bool | None:
    old = w.some_tensor()
    if old is None:
        return False
    value = tensor(w, old.type.like(w.pick(old.type.shape, (), old.type.shape[1:])), 2)
    operator = w.pick("+=", "-=", "*=", "/=", "+=")
    rebindable = w.find(lambda v: v.name == old.name, rebindable=True) is not None
    if rebindable:
        w.line(f"{old.name} {operator} {w.pick(value, value, value, '1', '0.5')}")
        return None
    return False


IN_PLACE = (
    "{0}.add_({1})", "{0}.mul_({1})", "{0}.sub_({1}, alpha=0.1)", "{0}.zero_()", "{0}.fill_(1.0)", "{0}.copy_({1})",
    "{0}.clamp_(min=0)", "{0}.relu_()", "{0}.exp_()", "{0}.add_(1)", "{0}.mul_(0.9)", "{0}.normal_()",
    "{0}.sigmoid_()", "F.relu({0}, inplace=True)", "{0}.div_(2)", "{0}.neg_()", "{0}.square_()",
    "torch.add({1}, 1, out={0})", "{0}.data.add_(1)", "{0}.data.copy_({1})", "{0}.data = {1}.detach().clone()",
    "{0}.data.zero_()", "{0}.detach().add_(1)", "nn.init.zeros_({0})", "nn.init.normal_({0})",
    "{0}.masked_fill_({0} > 0, 0.0)", "{0}.lerp_({1}, 0.5)", "{0}.tanh_()", "{0}.add_({1}.detach())", "{0}.uniform_()",
    "{0}.data.mul_(0.5)", "{0}.set_({1}.detach())", "nn.ReLU(inplace=True)({0})",
)  # fmt: skip


@statement(8)
def in_place(w: Writer) -> bool | None:
    old = w.some_tensor()
    if old is None:
        return False
    text = w.pick(*IN_PLACE).format(old.name, tensor(w, old.type, 1))
    if w.chance(0.3) and w.depth < NESTING:
        with w.block("with torch.no_grad():"):
            w.line(text)
        return None
    w.line(text)
    return None


@statement(4)
def item_assign(w: Writer) -> bool | None:
    old = w.find(lambda v: v.type.floating and bool(v.type.shape))
    if old is None:
        return False
    row = tensor(w, old.type.like(old.type.shape[1:]), 1)
    one = tensor(w, old.type.like(()), 1)
    options = [f"{old.name}[0] = {row}", f"{old.name}[-1] = 1.0", f"{old.name}[:1] = {row}", f"{old.name}[...] = {one}"]
    options += [
        f"{old.name}[{old.name} > 0] = 0.0",
        f"{old.name}[0] += {row}",
        f"{old.name}[1:] *= 2",
        f"{old.name}[0].add_(1)",
    ]
    options += [
        f"{old.name}.view(-1)[0] = {one}",
        f"{old.name}[0].zero_()",
        f"{old.name}[:] = {tensor(w, old.type, 1)}",
    ]
    options += [f"{old.name}.data[0] = {row}", f"{old.name}[1:].mul_(2)", f"{old.name}[torch.tensor([0])] = 1.0"]
    if len(old.type.shape) == 2:
        options += [
            f"{old.name}[:, 0] = {one}",
            f"{old.name}.t().add_(1)",
            f"{old.name}[0, 1] = {one}",
            f"{old.name}[0][1] = 2.0",
        ]
    w.line(w.pick(*options))
    return None


# Flags


@statement(6)
def flags(w: Writer) -> bool | None:
    old = w.some_tensor(floating=w.chance(0.93))
    if old is None:
        return False
    w.line(
        w.pick(
            "{0}.requires_grad_()", "{0}.requires_grad_(True)", "{0}.requires_grad = True", "{0}.requires_grad_()",
            "{0}.requires_grad_(False)", "{0}.requires_grad = False", "{0}.detach_()", "{0}.retain_grad()",
            "{0}.retain_grad()", "{0}.register_hook(lambda g: g * 2)", "{0}.share_memory_()", "{0}.requires_grad_()",
        ).format(old.name)
    )  # fmt: skip
    return None


@statement(1)
def copied(w: Writer) -> bool | None:
    old = w.some_tensor()
    if old is None:
        return False
    w.line(f"{w.declare('y', old.type)} = copy.deepcopy({old.name})")
    return None


@statement(1)
def parameter_of(w: Writer) -> None:
    want = Type(w.pick("float", "float", "int"), w.shape())
    inner = tensor(w, want, 1)
    w.line(f"{w.declare('p', Type('float', want.shape))} = nn.Parameter({inner})")


@statement(1)
def forget(w: Writer) -> bool | None:
    old = w.some_tensor(rebindable=True)
    if old is None or w.depth or not old.name.isidentifier() or old.name not in w.scope.own:
        return False
    del w.scope.own[old.name]
    w.line(f"del {old.name}")
    return None


# Gradients


@statement(6)
def read_gradient(w: Writer) -> bool | None:
    old = w.some_tensor()
    if old is None:
        return False
    name = old.name
    if w.chance(0.4):
        with w.block(f"if {name}.grad is not None:"):
            w.know(f"{name}.grad", old.type, rebindable=False)
            body(w, 2)
        return None
    w.line(
        w.pick(
            "print({0}.grad)", "print({0}.grad)", "{1} = {0}.grad", "print({0}.grad.norm())", "{0}.grad.zero_()",
            "{0}.grad = None", "{2} = {0}.grad.sum().item()", "{0}.grad = torch.zeros_like({0})", "print({0}.grad * 2)",
            "{1} = {0}.grad.clone() if {0}.grad is not None else None", "print({0}.grad is None)",
        ).format(name, w.fresh("gradient"), w.fresh("n"))
    )  # fmt: skip
    return None


@statement(13)
def backward(w: Writer) -> bool | None:
    root = tensor(w, SCALAR, w.pick(1, 2, 3)) if w.chance(0.3) else None
    held = w.find(lambda v: v.type.floating and (not v.type.shape or w.chance(0.1)))
    leaf = w.probably_in_graph()
    if root is None and leaf is not None and w.chance(0.4):
        root = f"({leaf.name} * {tensor(w, leaf.type, 2)}).{w.pick('sum()', 'mean()', 'pow(2).sum()', 'norm()')}"
    if root is None or root.strip("()").isidentifier():
        if held is None:
            return False
        root = held.name
    call = w.among(
        """{0}.backward() | {0}.backward() | {0}.backward() | {0}.backward() | {0}.backward(retain_graph=True)
        | {0}.backward(retain_graph=True) | torch.autograd.backward({0}) | torch.autograd.backward([{0}])
        | {0}.backward(create_graph=True) | {0}.backward(torch.ones_like({0})) | {0}.sum().backward()
        | {0}.backward(gradient=torch.tensor(2.0))"""
    )
    w.line(call.format(root))
    return None


@statement(3)
def backward_of_vector(w: Writer) -> bool | None:
    held = w.find(lambda v: v.type.floating and bool(v.type.shape))
    if held is None:
        return False
    argument = w.among("torch.ones_like({0}) | torch.ones_like({0}) | | gradient=torch.ones_like({0})")
    w.line(f"{held.name}.backward({argument.format(held.name)})")
    return None


@statement(2)
def backward_of_number(w: Writer) -> bool | None:
    held = w.find(lambda v: v.type == NUMBER)
    if held is None or w.chance(0.7):
        return False
    w.line(f"{held.name}.backward()")
    return None


@statement(4)
def autograd_grad(w: Writer) -> bool | None:
    source = w.some_tensor()
    if source is None:
        return False
    root = tensor(w, SCALAR, 2)
    if w.chance(0.6):
        root = f"({source.name} * {tensor(w, source.type, 1)}).sum()"
    more = w.pick("", "", ", create_graph=True", ", retain_graph=True", ", allow_unused=True", ", create_graph=True")
    name = w.fresh("g")
    call = w.pick(
        f"({name},) = torch.autograd.grad({root}, [{source.name}]{more})",
        f"{name} = torch.autograd.grad({root}, {source.name}{more})[0]",
        f"{name}, = torch.autograd.grad([{root}], ({source.name},){more})",
    )
    w.line(call)
    if "unused" not in more:
        w.know(name, source.type)
        w.defaults[name] = default(source.type)
    return None


# Modes

CONTEXTS = (
    "torch.no_grad()", "torch.no_grad()", "torch.no_grad()", "torch.enable_grad()", "torch.inference_mode()",
    "torch.set_grad_enabled(False)", "torch.set_grad_enabled(True)", "torch.inference_mode(False)",
    "torch.autograd.set_detect_anomaly(False)", "contextlib.nullcontext()", "torch.autograd.no_grad()",
    "torch.inference_mode(mode=True)", "torch.set_grad_enabled(mode=False)",
)  # fmt: skip


@statement(7)
def mode(w: Writer) -> bool | None:
    if w.depth >= NESTING:
        return False
    context = w.pick(*CONTEXTS)
    if w.chance(0.1):
        context = f"torch.set_grad_enabled({condition(w)})"
    if w.chance(0.7) and w.scope.parent is None:
        # what a block makes is used after it
        want = w.tensor_type()
        name = w.fresh("y")
        with w.block(f"with {context}:"):
            if w.chance(0.4):
                body(w, 2)
            w.line(f"{name} = {tensor(w, want, 2)}")
        w.know(name, want)
        return None
    with w.block(f"with {context}:"):
        body(w)
    return None


@statement(1)
def mode_statement(w: Writer) -> None:
    if w.chance(0.3):
        w.line(w.pick("torch.no_grad()", "torch.enable_grad()"))
        return
    w.line("torch.set_grad_enabled(False)")
    body(w, 2)
    w.line("torch.set_grad_enabled(True)")


# Branches


@statement(7)
def branch(w: Writer) -> bool | None:
    if w.depth >= NESTING:
        return False
    test = condition(w)
    form = w.random.random()
    if form < 0.35:  # both branches make the same variable
        want = w.tensor_type()
        name = w.fresh("y")
        with w.block(f"if {test}:"):
            if w.chance(0.3):
                body(w, 2)
            w.line(f"{name} = {tensor(w, want, 2)}")
        if w.chance(0.2):
            with w.block(f"elif {condition(w)}:"):
                w.line(f"{name} = {tensor(w, want, 2)}")
        with w.block("else:"):
            if w.chance(0.3):
                body(w, 2)
            w.line(f"{name} = {tensor(w, want, 2)}")
        w.know(name, want)
        return None
    with w.block(f"if {test}:"):
        body(w, 3)
    if form < 0.7:
        with w.block("else:"):
            body(w, 3)
    return None


@statement(1)
def match(w: Writer) -> bool | None:
    if w.depth >= NESTING:
        return False
    subject = w.pick("1", "2", "'sum'")
    with w.block(f"match {subject}:"):
        for case in ("1", "'sum'", "_"):
            with w.block(f"case {case}:"):
                body(w, 2)
    return None


@statement(2)
def attempt(w: Writer) -> bool | None:
    if w.depth >= NESTING:
        return False
    with w.block("try:"):
        body(w, 3)
    with w.block(w.pick("except RuntimeError:", "except (RuntimeError, TypeError) as error:", "except Exception:")):
        body(w, 2)
    if w.chance(0.2):
        with w.block("else:"):
            body(w, 2)
    if w.chance(0.2):
        with w.block("finally:"):
            body(w, 2)
    return None


# Loops


@statement(6)
def for_range(w: Writer) -> bool | None:
    if w.depth >= NESTING or w.loops >= 2:
        return False
    head = f"for {w.fresh('i')} in range({w.pick('1', '2', '3', '2', '3', '12')}):"
    with looping(w, head):
        body(w)
        leave(w)
    return None


@statement(3)
def accumulate(w: Writer) -> bool | None:
    """A loop that carries a value over its iterations."""
    if w.depth >= NESTING or w.loops >= 2:
        return False
    want = w.pick(SCALAR, Type("float", (3,)))
    start = w.pick(factory(w, want), tensor(w, want, 1), "0" if want == SCALAR else factory(w, want))
    name = w.fresh("total")
    w.line(f"{name} = {start}")
    with looping(w, f"for {w.fresh('i')} in range({w.pick('2', '3', '10')}):"):
        if start != "0":
            w.know(name, want)
        body(w, 2)
        step = tensor(w, want, 2)
        w.line(
            w.pick("{0} = {0} + {1}", "{0} = {0} * {1}", "{0} += {1}", "{0} = {1}", "{0} = {0} + {1}.detach()").format(
                name, step
            )
        )
        if w.chance(0.3):
            w.line(
                f"{name}.backward({w.pick('', 'retain_graph=True')})" if want == SCALAR else f"{name}.sum().backward()"
            )
    if start != "0":
        w.know(name, want)
    return None


@statement(3)
def for_items(w: Writer) -> bool | None:
    if w.depth >= NESTING or w.loops >= 2:
        return False
    held = w.find(lambda v: v.type.kind == "list")
    if held is not None and w.chance(0.6):
        inner, source = Type(held.detail, held.type.shape), held.name
    else:
        inner = Type("float", w.shape())
        source = ", ".join(tensor(w, inner, 1) for _ in range(w.pick(2, 3)))
        source = w.pick("[{0}]", "({0})").format(source)
        if len(inner.shape) < 2 and w.chance(0.3):
            source = tensor(w, inner.like((3, *inner.shape)), 1)
    item = w.fresh("t")
    head = w.pick(
        "for {0} in {1}:", "for {0} in {1}:", "for {2}, {0} in enumerate({1}):", "for {0}, {2} in zip({1}, [1, 2, 3]):"
    ).format(item, source, w.fresh("k"))
    with looping(w, head):
        w.know(item, inner)
        body(w, 3)
        leave(w)
    return None


@statement(2)
def while_loop(w: Writer) -> bool | None:
    if w.depth >= NESTING or w.loops >= 2:
        return False
    counter = w.fresh("step")
    w.line(f"{counter} = 0")
    if w.chance(0.5):
        with looping(w, f"while {counter} < {w.pick(1, 2, 3)}:"):
            w.line(f"{counter} += 1")
            body(w, 3)
            leave(w)
        return None
    with looping(w, "while True:"):
        w.line(f"{counter} += 1")
        body(w, 3)
        with w.block(f"if {counter} >= {w.pick(1, 2, 3)}:"):
            w.line("break")
    return None


def looping(w: Writer, head: str) -> AbstractContextManager[None]:
    """The block of a loop."""
    w.loops += 1
    return w.block(head)


def leave(w: Writer) -> None:
    """Now and then: break or continue under a condition."""
    if w.chance(0.15):
        with w.block(f"if {condition(w)}:"):
            w.line(w.pick("break", "continue"))
        body(w, 2)


# Containers


@statement(4)
def make_list(w: Writer) -> None:
    inner = Type("float", w.shape())
    items = ", ".join(tensor(w, inner, 1) for _ in range(w.pick(1, 2, 3)))
    name = w.declare("items", Type("list", inner.shape), inner.kind, rebindable=False)
    w.line(f"{name} = [{items}]")
    w.defaults[name] = f"[{default(inner)}, {default(inner)}]"


@statement(4)
def change_list(w: Writer) -> bool | None:
    held = w.find(lambda v: v.type.kind == "list")
    if held is None:
        return False
    inner = tensor(w, Type(held.detail, held.type.shape), 2)
    text = "{0}.append({1}) | {0}.append({1}) | {0}[0] = {1} | {0} += [{1}] | {0}.extend([{1}]) | {0}.insert(0, {1})"
    w.line(w.among(text).format(held.name, inner))
    return None


@statement(2)
def comprehension(w: Writer) -> bool | None:
    held = w.find(lambda v: v.type.kind == "list")
    if held is None:
        return False
    name = w.declare("items", held.type, held.detail, rebindable=False)
    value = w.among(
        """[t * 2 for t in {0}] | [t.detach() for t in {0}] | list({0}) | [t + i for i, t in enumerate({0})]
        | [t.clone() for t in {0} if t.requires_grad] + {0} | {0}[:1] + {0} | list(map(torch.sin, {0}))"""
    )
    w.line(f"{name} = {value.format(held.name)}")
    return None


@statement(2)
def dictionary(w: Writer) -> None:
    types = [Type("float", w.shape()), Type("float", w.shape())]
    values = [tensor(w, t, 1) for t in types]
    name = w.fresh("d")
    w.line(w.pick("{0} = {{'a': {1}, 'b': {2}}}", "{0} = dict(a={1}, b={2})").format(name, *values))
    for key, type_ in zip("ab", types, strict=True):
        w.know(f"{name}['{key}']", type_)


@statement(2)
def namespace(w: Writer) -> None:
    """Attributes of a plain object of the standard library, and a NamedTuple-like tuple of results."""
    types = [Type("float", w.shape()), Type("float", w.shape())]
    values = [tensor(w, t, 1) for t in types]
    pair = w.fresh("pair")
    w.line(f"{pair} = ({values[0]}, {values[1]})")
    for place, type_ in enumerate(types):
        w.know(f"{pair}[{place}]", type_, rebindable=False)


@statement(2)
def show(w: Writer) -> bool | None:
    some = w.some_tensor()
    if some is None:
        return False
    text = w.among(
        """print({0}.shape) | print(f'{{{2}.dim()}}') | print({0}.requires_grad) | {0}.sum() | assert {0}.dim() == {1}
        | print({0}.tolist() is None) | pass | print({0}.detach().mean().item())"""
    )
    quoted = some.name.replace("'", '"')  # nested quotes of one kind are new in Python 3.12
    w.line(text.format(some.name, len(some.type.shape), quoted))
    return None
