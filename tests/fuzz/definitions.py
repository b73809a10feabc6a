"""Random functions, classes, modules, layers and optimizers."""

from __future__ import annotations

from typing import NamedTuple

from fuzz.expressions import called, condition, tensor
from fuzz.names import SCALAR, Type, default
from fuzz.statements import NESTING, body, looping, statement
from fuzz.writer import Writer


class Signature(NamedTuple):
    """params: name, type, has it a default. kind: of the tensor that is returned."""

    params: tuple[tuple[str, Type, bool], ...]
    kind: str


DECORATORS = (
    "@torch.no_grad()", "@torch.no_grad()", "@torch.no_grad", "@torch.enable_grad()", "@torch.inference_mode()",
    "@torch.set_grad_enabled(False)", "@torch.inference_mode", "@torch.enable_grad",
)  # fmt: skip


@statement(5)
def function(w: Writer) -> bool | None:
    if w.functions >= 3 or w.depth > 1 or w.loops:
        return False
    define(w, w.fresh("f"))
    return None


def define(w: Writer, name: str, receiver: str = "", shown: str = "") -> None:
    """A function or, with a `receiver`, a method; it becomes callable as `shown`."""
    w.functions += 1
    params, header = parameters(w)
    result = Type("float", w.shape())
    if w.chance(0.2):
        w.line(w.pick(*DECORATORS))
    with w.block(f"def {name}({', '.join([receiver] * bool(receiver) + header)}):", wall=True):
        for param, type_, _ in params:
            w.know(param, type_)
        for attribute, type_ in w.attributes if receiver else ():
            w.know(f"{receiver}.{attribute}", type_)
        if w.chance(0.7):
            body(w, 3)
        if w.chance(0.2):
            with w.block(f"if {condition(w)}:"):
                w.line(f"return {tensor(w, result, 2)}")
        w.line(f"return {tensor(w, result)}")
    w.defaults[f"{name}()"] = default(result)
    w.know(shown or name, Type("function", result.shape), Signature(tuple(params), result.kind), rebindable=False)
    if not receiver:
        w.functions -= 1 if w.chance(0.3) else 0


def parameters(w: Writer) -> tuple[list[tuple[str, Type, bool]], list[str]]:
    params: list[tuple[str, Type, bool]] = []
    header: list[str] = []
    for name in w.random.sample(("a", "b", "c", "x", "y"), w.pick(1, 1, 2, 3)):
        type_ = Type("float", w.shape())
        optional = any(o for _, _, o in params) or w.chance(0.2)
        params.append((name, type_, optional))
        header.append(f"{name}={tensor(w, type_, 1)}" if optional else name + w.pick("", "", ": torch.Tensor"))
    return params, header


@statement(5)
def call_function(w: Writer) -> bool | None:
    found = w.find(lambda v: v.type.kind == "function")
    if found is None:
        return False
    result = Type(found.detail.kind, found.type.shape)
    call = called(w, found, 1)
    w.line(f"{w.declare('y', result)} = {call}" if w.chance(0.8) else call)
    return None


@statement(1)
def anonymous(w: Writer) -> None:
    """A lambda."""
    source, result = Type("float", w.shape()), Type("float", w.shape())
    name = w.fresh("g")
    outer = w.scope
    w.scope = type(outer)(outer, True)
    w.know("t", source)
    inner = tensor(w, result, 2)
    w.scope = outer
    w.line(f"{name} = lambda t: {inner}")
    w.know(name, Type("function", result.shape), Signature((("t", source, False),), "float"), rebindable=False)


@statement(1)
def shared(w: Writer) -> bool | None:
    """A function that rebinds a global."""
    held = w.find(lambda v: v.type.floating and v.name.isidentifier() and v.name in w.scope.own)
    if held is None or w.depth:
        return False
    name = w.fresh("change")
    with w.block(f"def {name}():", wall=True):
        w.line(f"global {held.name}")
        w.line(f"{held.name} = {tensor(w, held.type, 2)}")
    w.line(f"{name}()")
    return None


@statement(1)
def generator(w: Writer) -> bool | None:
    """A generator function and the loop over it."""
    if w.depth or w.loops:
        return False
    inner = Type("float", w.shape())
    name = w.fresh("produce")
    with w.block(f"def {name}(count):", wall=True), looping(w, "for i in range(count):"):
        w.line(f"yield {tensor(w, inner, 2)}")
    with looping(w, f"for {(item := w.fresh('t'))} in {name}(2):"):
        w.know(item, inner)
        body(w, 2)
    w.loops = 0
    return None


@statement(3)
def plain_class(w: Writer) -> bool | None:
    """A class with tensors as attributes and methods that change them."""
    if w.depth or w.functions >= 3:
        return False
    name = w.fresh("Box")
    types = [("value", Type("float", w.shape())), ("scale", Type("float", w.shape()))][: w.pick(1, 2)]
    start = [tensor(w, t, 1) for _, t in types]
    instance = w.fresh("box")
    kept = []
    with w.block(f"class {name}:"):
        with w.block(f"def __init__(self, {', '.join(n for n, _ in types)}):", wall=True):
            for attribute, _ in types:
                w.line(f"self.{attribute} = {attribute}{w.pick('', '', '.detach()', '.clone()', ' * 2')}")
        w.attributes = types
        for method in ("update", "measure")[: w.pick(1, 2)]:
            define(w, method, "self", f"{instance}.{method}")
            kept.append(w.scope.own[f"{instance}.{method}"])
        w.attributes = []
    w.line(f"{instance} = {name}({', '.join(start)})")
    for variable in kept:
        w.scope.add(variable)
    for attribute, type_ in types:
        w.know(f"{instance}.{attribute}", type_)
    return None


@statement(5)
def module_class(w: Writer) -> bool | None:
    """An nn.Module with layers, a parameter and a forward."""
    if w.depth or w.functions >= 3:
        return False
    name, instance = w.fresh("Net"), w.fresh("net")
    inputs, outputs = w.pick(2, 3, 4), w.pick(2, 3)
    bias = Type("float", (outputs,))
    inside: list[tuple[str, Type, object]] = [("linear", Type("layer", (outputs,)), ("linear", inputs))]
    with w.block(f"class {name}(nn.Module):"):
        with w.block("def __init__(self):", wall=True):
            w.line("super().__init__()")
            w.line(f"self.linear = nn.Linear({inputs}, {outputs})")
            if w.chance(0.5):
                inside.append(("scale", bias, None))
                w.line(f"self.scale = nn.Parameter(torch.ones({outputs}){w.pick('', '', ', requires_grad=False')})")
            if w.chance(0.3):
                inside.append(("running", bias, None))
                w.line(f"self.register_buffer('running', torch.zeros({outputs}))")
            if w.chance(0.4):
                inside.append(("head", Type("layer", (outputs,)), ("linear", outputs)))
                last = w.among("nn.ReLU() | nn.ReLU(inplace=True) | nn.Tanh() | nn.Dropout(0.1)")
                w.line(f"self.head = nn.Sequential(nn.Linear({outputs}, {outputs}), {last})")
            if w.chance(0.2):
                w.line(w.pick("self.linear.requires_grad_(False)", "self.linear.weight.requires_grad = False"))
        if w.chance(0.15):
            w.line(w.pick(*DECORATORS))
        with w.block("def forward(self, x):", wall=True):
            result = Type("float", (4, outputs))
            w.know("x", Type("float", (4, inputs)))
            for attribute, type_, detail in inside:
                w.know(f"self.{attribute}", type_, detail, rebindable=attribute == "running")
            w.line("h = self.linear(x)")
            w.know("h", result)
            if w.chance(0.5):
                body(w, 2)
            w.line(f"return {tensor(w, result, 2)}")
        w.defaults["forward()"] = default(result)
    w.line(f"{instance} = {name}()")
    signature = Signature((("x", Type("float", (4, inputs)), False),), "float")
    w.know(instance, Type("function", (4, outputs)), signature, rebindable=False)
    w.know(f"{instance} as module", Type("module"), instance, rebindable=False)
    for attribute, type_, detail in inside:
        w.know(f"{instance}.{attribute}", type_, detail, rebindable=False)
    w.know(f"{instance}.linear.weight", Type("float", (outputs, inputs)), rebindable=False)
    return None


@statement(8)
def layer(w: Writer) -> bool | None:
    if w.loops or w.depth > 1:
        return False
    inputs, outputs = w.pick(2, 3, 4), w.pick(2, 3, 3, 4)
    kind = w.weighted(
        [(6, "linear"), (4, "sequential"), (1, "embedding"), (1, "batch"), (1, "layernorm"), (1, "recurrent")]
    )
    name = w.fresh("net")
    activation = w.among("nn.ReLU() | nn.ReLU(inplace=True) | nn.Tanh() | nn.Sigmoid()")
    made = {
        "linear": f"nn.Linear({inputs}, {outputs}{w.pick('', '', ', bias=False')})",
        "sequential": f"nn.Sequential(nn.Linear({inputs}, 5), {activation}, nn.Linear(5, {outputs}))",
        "embedding": f"nn.Embedding(4, {outputs})",
        "batch": f"nn.BatchNorm1d({outputs})",
        "layernorm": f"nn.LayerNorm({outputs})",
        "recurrent": f"nn.{w.pick('LSTM', 'GRU', 'RNN')}({inputs}, {outputs})",
    }[kind]
    if kind in ("batch", "layernorm"):
        inputs = outputs
    w.line(f"{name} = {made}")
    w.know(name, Type("layer", (outputs,)), (kind, inputs), rebindable=False)
    w.know(f"{name} as module", Type("module"), name, rebindable=False)
    if kind == "linear":
        w.know(f"{name}.weight", Type("float", (outputs, inputs)), rebindable=False)
    if kind == "sequential":
        w.know(f"{name}[0].weight", Type("float", (5, inputs)), rebindable=False)
    return None


@statement(4)
def use_module(w: Writer) -> bool | None:
    """What programs do to modules: freeze, switch to evaluation, clear the gradients."""
    found = w.find(lambda v: v.type.kind == "module")
    if found is None:
        return False
    name = found.detail
    form = w.among(
        """{0}.requires_grad_(False) | {0}.requires_grad_(True) | {0}.eval() | {0}.train() | {0}.zero_grad() | total
        | {0}.zero_grad(set_to_none=False) | {0}.double().float() | {0}.to('cpu') | {0} = copy.deepcopy({0}) | norm
        | {0}.load_state_dict({0}.state_dict()) | torch.nn.utils.clip_grad_norm_({0}.parameters(), 1.0) | loop | loop"""
    )
    if form == "loop":
        with w.block(f"for p in {name}.parameters():"):
            w.line(
                w.among(
                    """p.requires_grad = False | p.requires_grad_(False) | p.requires_grad = True | p.grad = None
                    | p.data.mul_(0.5) | p.data.add_(1) | print(p.grad) | p.detach_()"""
                )
            )
    elif form == "norm":
        with w.block("with torch.no_grad():"), w.block(f"for p in {name}.parameters():"):
            w.line(w.pick("p.mul_(0.5)", "p -= 0.1", "p.add_(1)", "p.copy_(p * 2)", "p.zero_()"))
    elif form == "total":
        w.line(f"{w.declare('loss', SCALAR)} = sum(p.pow(2).sum() for p in {name}.parameters())")
    else:
        if " = " in form and w.depth:
            return False
        w.line(form.format(name))
    return None


@statement(4)
def optimizer(w: Writer) -> bool | None:
    if w.depth or w.loops:
        return False
    module = w.find(lambda v: v.type.kind == "module")
    if module is not None and w.chance(0.7):
        owned = f"{module.detail}.parameters()"
    else:
        some = [w.some_tensor(), w.some_tensor()]
        names = list(dict.fromkeys(v.name for v in some if v is not None))
        if not names:
            return False
        owned = f"[{', '.join(names)}]"
    kind = w.pick("SGD", "SGD", "Adam", "AdamW", "RMSprop")
    momentum = ", momentum=0.9" if kind == "SGD" and w.chance(0.2) else ""
    w.line(f"{w.declare('opt', Type('optimizer'))} = torch.optim.{kind}({owned}, lr=0.01{momentum})")
    return None


@statement(5)
def use_optimizer(w: Writer) -> bool | None:
    found = w.find(lambda v: v.type.kind == "optimizer")
    if found is None:
        return False
    w.line(
        w.pick(
            "{0}.step()", "{0}.step()", "{0}.zero_grad()", "{0}.zero_grad()", "{0}.zero_grad(set_to_none=False)"
        ).format(found.name)
    )
    return None


@statement(5)
def training(w: Writer) -> bool | None:
    """The training loop as everybody writes it, with whatever loss."""
    found = w.find(lambda v: v.type.kind == "optimizer")
    if found is None or w.depth >= NESTING or w.loops >= 2:
        return False
    with looping(w, f"for {w.fresh('epoch')} in range({w.pick('1', '2', '3')}):"):
        before = w.chance(0.5)
        if before:
            w.line(f"{found.name}.zero_grad()")
        if w.chance(0.5):
            body(w, 2)
        value = tensor(w, SCALAR)
        loss = w.declare("loss", SCALAR)
        w.line(f"{loss} = {value}")
        w.line(f"{loss}.backward({w.pick('', '', '', 'retain_graph=True')})")
        w.line(f"{found.name}.step()")
        if not before:
            w.line(f"{found.name}.zero_grad()")
    return None
