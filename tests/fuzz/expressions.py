"""Random expressions of a wanted type."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias, TypeVar

from fuzz.names import DTYPES, NUMBER, SCALAR, Shape, Type, Variable, as_tuple, broadcasts, count, sizes
from fuzz.writer import Writer

Producer: TypeAlias = Callable[[Writer, Type, int], "str | None"]
P = TypeVar("P", bound=Producer)
PRODUCERS: list[tuple[int, Producer]] = []
"""Makers of floating-point expressions with their weights; one that cannot make the wanted type returns None."""

DEPTHS = ((5, 1), (5, 2), (1, 3))

ELEMENTWISE = (
    "-{0}", "{0}.neg()", "{0}.abs()", "abs({0})", "{0}.exp()", "torch.exp({0})", "{0}.log()",
    "torch.log({0}.abs() + 1)", "{0}.log1p()", "{0}.expm1()", "torch.sqrt({0}.abs() + 1)", "{0}.rsqrt()",
    "{0}.square()", "torch.square({0})", "{0}.sin()", "torch.cos({0})", "{0}.tan()", "{0}.tanh()", "torch.tanh({0})",
    "{0}.atan()", "{0}.sinh()", "{0}.cosh()", "{0}.asinh()", "{0}.sigmoid()", "torch.sigmoid({0})", "{0}.relu()",
    "F.relu({0})", "torch.relu({0})", "F.gelu({0})", "F.silu({0})", "F.elu({0})", "F.selu({0})",
    "F.leaky_relu({0}, 0.1)", "F.softplus({0})", "F.softsign({0})", "F.hardtanh({0})", "F.hardswish({0})",
    "F.mish({0})", "F.logsigmoid({0})", "F.tanhshrink({0})", "F.dropout({0}, 0.5)",
    "F.dropout({0}, 0.5, training=False)", "{0}.clamp(min=0)", "{0}.clamp(-1, 1)", "torch.clamp({0}, max=0.5)",
    "{0}.pow(2)", "{0} ** 2", "{0} ** 3", "torch.pow({0}, 2)", "2.0 ** {0}", "{0}.reciprocal()", "1 / {0}", "{0} * 2",
    "3 - {0}", "{0} / 4", "{0} + 1", "{0} - 0.5", "2 * {0}", "{0}.mul(2)", "{0}.add(1)", "{0}.add(1, alpha=2)",
    "{0} % 2", "{0}.fmod(2)", "{0}.sign()", "{0}.round()", "torch.round({0})", "{0}.floor()", "torch.ceil({0})",
    "{0}.trunc()", "{0}.frac()", "{0}.nan_to_num()", "{0}.erf()", "{0}.lgamma()", "{0}.clone()", "{0}.clone()",
    "torch.clone({0})", "{0}.contiguous()", "{0}.cpu()", "+{0}", "{0}.to('cpu')", "{0}.positive()", "{0}.softmax(-1)",
    "{0}.double().float().to({dtype})", "{0}.to({dtype})", "torch.special.expit({0})", "torch.heaviside({0}, {0})",
    "{0}.view_as({0})", "{0}.expand_as({0})", "F.threshold({0}, 0.1, 0.0)", "torch.nn.ReLU()({0})", "nn.Tanh()({0})",
    "nn.Identity()({0})", "nn.Dropout(0.5)({0})", "{0}.masked_fill({0} > 0, 0.0)", "torch.lerp({0}, {0}.sin(), 0.5)",
    "torch.complex({0}, {0}).abs().to({dtype})", "torch.relu({0}).sqrt()", "{0}.hardshrink()",
)  # fmt: skip
"""From one tensor to another of the same type."""

ALONG = (
    "{0}.cumsum(0)", "torch.cumsum({0}, dim=-1)", "{0}.cumprod(0)", "{0}.flip(0)", "{0}.roll(1, 0)",
    "F.softmax({0}, dim=-1)", "{0}.log_softmax(-1)", "{0}.softmax(0)", "torch.softmax({0}, dim=0)",
    "F.normalize({0}, dim=0)", "F.layer_norm({0}, ({last},))", "{0}.sort(-1)[0]", "{0}.sort(0).values",
    "torch.sort({0}, dim=0)[0]", "{0}.logcumsumexp(0)", "{0}.cummax(0)[0]",
    "{0}.index_fill(0, torch.tensor([0]), 1.0)", "torch.cat([{0}[:1], {0}[1:]])", "torch.stack(list({0}))",
    "nn.Softmax(dim=-1)({0})", "nn.LayerNorm({last})({0})", "{0}.movedim(0, -1).movedim(-1, 0)",
    "{0}.unsqueeze(0).squeeze(0)", "{0}[None][0]", "{0}[...]", "{0}[:]", "torch.fft.fft({0}).real.to({dtype})",
    "{0}.topk({last}, dim=-1)[0]",
)  # fmt: skip
"""The same for tensors that have a dimension."""

BINARY = (
    "{0} + {1}", "{0} - {1}", "{0} * {1}", "{0} / ({1}.abs() + 1)", "{0} + 2 * {1}", "torch.add({0}, {1})",
    "torch.sub({0}, {1})", "torch.mul({0}, {1})", "{0}.mul({1})", "{0}.add({1}, alpha=0.5)", "{0}.sub({1})",
    "torch.div({0}, {1})", "torch.maximum({0}, {1})", "torch.minimum({0}, {1})", "torch.max({0}, {1})",
    "torch.atan2({0}, {1})", "torch.hypot({0}, {1})", "torch.logaddexp({0}, {1})", "torch.pow({0}.abs() + 1, {1})",
    "torch.where({0} > 0, {0}, {1})", "torch.where({1} > {0}, {0}, {1})", "torch.addcmul({0}, {0}, {1})",
    "torch.addcdiv({0}, {0}, {1}.abs() + 1)", "torch.fmod({0}, {1})", "torch.xlogy({0}, {1}.abs() + 1)",
    "{0} * ({1} > 0)", "{0} * {1}.detach()", "{0}.mul({1}).add({0})", "{0}.type_as({0}) * {1}",
    "torch.clamp({0}, max={1})", "{0} * {1}.sigmoid()",
)  # fmt: skip

REDUCTIONS = (
    "{0}.sum()", "{0}.mean()", "torch.sum({0})", "torch.mean({0})", "{0}.prod()", "{0}.max()", "{0}.min()",
    "{0}.norm()", "{0}.std()", "{0}.var()", "{0}.amax()", "{0}.median()", "{0}.nansum()", "{0}.abs().max()",
    "{0}.pow(2).sum()", "({0} ** 2).mean()", "torch.linalg.norm({0})", "{0}.square().mean()", "{0}.exp().sum()",
    "torch.var_mean({0})[1]", "{0}.sum().sqrt()", "{0}.logsumexp(tuple(range({rank})))",
)  # fmt: skip

ALONG_REDUCTIONS = (
    "{0}.sum({dim})", "{0}.mean({dim})", "torch.sum({0}, dim={dim})", "{0}.sum(dim={dim})", "{0}.prod({dim})",
    "{0}.amax({dim})", "{0}.amin(dim={dim})", "{0}.logsumexp({dim})", "{0}.norm(dim={dim})", "{0}.std({dim})",
    "{0}.var({dim})", "{0}.max({dim})[0]", "{0}.max(dim={dim}).values", "torch.max({0}, dim={dim})[0]",
    "{0}.min({dim}).values", "{0}.median({dim}).values", "{0}.select({dim}, 0)", "{0}.nanmean({dim})",
    "{0}.unbind({dim})[0]", "{0}.sort({dim})[0].select({dim}, 1)", "{0}.cumsum({dim}).select({dim}, -1)",
)  # fmt: skip
"""`{dim}` is the dimension that goes."""

LOSSES = (
    "F.mse_loss({0}, {1})", "F.l1_loss({0}, {1})", "F.smooth_l1_loss({0}, {1})", "F.huber_loss({0}, {1})",
    "F.mse_loss({0}, {1}, reduction='sum')", "F.mse_loss({0}, {1}.detach())", "nn.MSELoss()({0}, {1})",
    "nn.L1Loss(reduction='sum')({0}, {1})", "F.binary_cross_entropy_with_logits({0}, {1}.sigmoid())",
    "F.binary_cross_entropy({0}.sigmoid(), {1}.sigmoid().detach())", "F.kl_div({0}.log_softmax(-1), {1}.softmax(-1))",
    "torch.dist({0}, {1})", "F.mse_loss({0}, {1}, reduction='none').mean()",
    "nn.MSELoss(reduction='none')({0}, {1}).sum()", "({0} - {1}).pow(2).mean()", "(({0} - {1}) ** 2).sum()",
    "({0} * {1}).sum()", "nn.SmoothL1Loss()({0}, {1})",
)  # fmt: skip

CUTS = (
    "{0}.detach()", "{0}.detach()", "{0}.data", "{0}.detach().clone()", "{0}.clone().detach()",
    "torch.tensor({0}.tolist())", "{0}.detach().requires_grad_()", "torch.zeros_like({0})", "torch.ones_like({0})",
    "torch.rand_like({0})", "torch.full_like({0}, 2.0)", "{0}.new_zeros({tuple})",
    "torch.ones_like({0}, requires_grad=True)", "torch.from_numpy({0}.detach().numpy().copy())",
    "torch.as_tensor({0})", "torch.tensor({0}.detach().numpy())", "torch.autograd.Variable({0})",
    "torch.bernoulli({0}.sigmoid())", "({0} > 0).to({dtype})", "{0}.long().to({dtype})",
    "{0}.detach().clone().requires_grad_(True)", "torch.sign({0})", "{0}.detach() + {0} - {0}.detach()",
    "copy.copy({0})", "{0}.floor_divide(2)", "{0}.bool().to({dtype})",
)  # fmt: skip


def producer(weight: int) -> Callable[[P], P]:
    """Decorator: the function makes floating-point expressions."""

    def add(function: P) -> P:
        PRODUCERS.append((weight, function))
        return function

    return add


def tensor(w: Writer, want: Type, depth: int | None = None) -> str:
    """An expression of the type `want`, nested at most `depth` deep."""
    if depth is None:
        depth = w.weighted(DEPTHS)
    if not want.floating:
        return whole(w, want, depth)
    if depth > 0:
        for _ in range(3):
            made = w.weighted(PRODUCERS)(w, want, depth - 1)
            if made is not None:
                return f"({made})"
    return known(w, want, 0) or (resized(w, want, 0) if w.chance(0.7) else None) or factory(w, want, 1)


def fill(w: Writer, template: str, want: Type, *args: str, **more: object) -> str:
    last = want.shape[-1] if want.shape else 1
    return template.format(
        *args, dtype=DTYPES[want.kind], last=last, tuple=as_tuple(want.shape), rank=len(want.shape), **more
    )


# From what is there


@producer(50)
def known(w: Writer, want: Type, depth: int) -> str | None:
    found = w.find(lambda v: v.type == want)
    return found.name if found else None


@producer(4)
def resized(w: Writer, want: Type, depth: int) -> str | None:
    """From a variable of another shape."""
    found = w.find(lambda v: v.type.kind == want.kind and v.type.shape != want.shape)
    if found is None:
        return None
    size = sizes(want.shape)
    options = ["({0}.mean() * torch.ones({1}))", "{0}.sum().expand({1})", "({0}.flatten()[0] + torch.zeros({1}))"]
    if not want.shape:
        options = ["{0}.sum()", "{0}.mean()", "{0}.norm()", "{0}.max()", "{0}.pow(2).sum()"]
    elif broadcasts(found.type.shape, want.shape):
        options = [f"{{0}}.expand({size})", "({0} + torch.zeros({1}))", "({0} * torch.ones({1}))"]
    return w.pick(*options).format(found.name, size)


@producer(4)
def element(w: Writer, want: Type, depth: int) -> str | None:
    """Out of a container."""
    found = w.find(lambda v: v.type == Type("list", want.shape) and v.detail == want.kind)
    if found is None:
        return None
    return w.pick("{0}[0]", "{0}[-1]", "sum({0})", "torch.stack({0}).sum(0)", "{0}[len({0}) - 1]").format(found.name)


@producer(3)
def array_back(w: Writer, want: Type, depth: int) -> str | None:
    found = w.find(lambda v: v.type == Type("array", want.shape))
    if found is None or want.kind != "float":
        return None
    return w.pick("torch.from_numpy({0})", "torch.tensor({0})", "torch.as_tensor({0})").format(found.name)


@producer(3)
def scaled(w: Writer, want: Type, depth: int) -> str | None:
    found = w.find(lambda v: v.type == NUMBER)
    if found is None:
        return None
    return w.pick("{0} * {1}", "{1} + {0}", "{0} / ({1} + 2)", "{0} - {1}").format(tensor(w, want, depth), found.name)


@producer(7)
def call(w: Writer, want: Type, depth: int) -> str | None:
    """Of a function of the file."""
    found = w.find(lambda v: v.type == Type("function", want.shape) and v.detail.kind == want.kind)
    return None if found is None else called(w, found, depth)


def called(w: Writer, function: Variable, depth: int) -> str:
    """A call of a function variable; parameters with a default are given or not, by position or by name."""
    args: list[str] = []
    for name, type_, optional in function.detail.params:
        if optional and w.chance(0.5):
            continue
        value = tensor(w, type_, depth)
        args.append(f"{name}={value}" if optional or (args and "=" in args[-1]) else value)
    return f"{function.name}({', '.join(args)})"


@producer(9)
def through_layer(w: Writer, want: Type, depth: int) -> str | None:
    if want.kind != "float" or not want.shape:
        return None
    found = w.find(lambda v: v.type.kind == "layer" and fits(v, want.shape))
    if found is None:
        return None
    name, lead = found.name, want.shape[:-1]
    kind, size = found.detail
    if kind == "embedding":
        return f"{name}({whole(w, Type('index', lead), depth)})"
    if kind == "recurrent":
        return f"{name}({tensor(w, Type('float', (*lead, size)), depth)})[0]"
    return f"{name}({tensor(w, Type('float', (*lead, size)), depth)})"


def fits(layer: Variable, shape: Shape) -> bool:
    """Can the layer make a tensor of that shape?"""
    if layer.type.shape[-1] != shape[-1]:
        return False
    kind, _ = layer.detail
    return len(shape) == 2 if kind in ("batch", "recurrent") else True


# New from old


@producer(16)
def elementwise(w: Writer, want: Type, depth: int) -> str | None:
    return fill(w, w.pick(*ELEMENTWISE), want, tensor(w, want, depth))


@producer(5)
def along(w: Writer, want: Type, depth: int) -> str | None:
    if not want.shape or count(want.shape) == 0:
        return None
    return fill(w, w.pick(*ALONG), want, tensor(w, want, depth))


@producer(22)
def binary(w: Writer, want: Type, depth: int) -> str | None:
    options = [want.shape, want.shape, (), want.shape[1:]]
    other = w.find(lambda v: v.type.kind == want.kind and broadcasts(v.type.shape, want.shape))
    if other is not None:
        options += [other.type.shape] * 2
    left, right = tensor(w, want, depth), tensor(w, want.like(w.pick(*options)), depth)
    return fill(w, w.pick(*BINARY), want, left, right)


@producer(4)
def chosen(w: Writer, want: Type, depth: int) -> str | None:
    condition = whole(w, Type("bool", want.shape), depth)
    return f"torch.where({condition}, {tensor(w, want, depth)}, {tensor(w, want, depth)})"


@producer(12)
def reduced(w: Writer, want: Type, depth: int) -> str | None:
    if not want.shape:
        shape = w.shape()
        source = want.like(shape)
        if w.chance(0.35):
            shape = shape or (3,)
            source = want.like(shape)
            return fill(w, w.pick(*LOSSES), source, tensor(w, source, depth), tensor(w, source, depth))
        return fill(w, w.pick(*REDUCTIONS), source, tensor(w, source, depth))
    if len(want.shape) > 2:
        return None
    dim = w.random.randint(0, len(want.shape))
    source = want.like((*want.shape[:dim], w.pick(2, 3, 4), *want.shape[dim:]))
    text = dim if w.chance(0.7) else dim - len(source.shape)
    return fill(w, w.pick(*ALONG_REDUCTIONS), source, tensor(w, source, depth), dim=text)


@producer(3)
def kept_dimension(w: Writer, want: Type, depth: int) -> str | None:
    """A reduction with keepdim, used at once."""
    if not want.shape:
        return None
    dim = w.random.randrange(len(want.shape))
    how = w.pick("sum", "mean", "amax", "std", "norm")
    whole_ = tensor(w, want, depth)
    other = tensor(w, want, depth)
    return w.pick("{0} - {1}.{how}(dim={dim}, keepdim=True)", "{0} * {1}.{how}(dim={dim}, keepdim=True)").format(
        whole_, other, how=how, dim=dim
    )


@producer(3)
def classified(w: Writer, want: Type, depth: int) -> str | None:
    """Losses with class indices."""
    if want.shape:
        return None
    logits = tensor(w, want.like((4, 3)), depth)
    target = whole(w, Type("index", (4,)), depth)
    return w.pick(
        "F.cross_entropy({0}, {1})", "nn.CrossEntropyLoss()({0}, {1})", "F.nll_loss({0}.log_softmax(-1), {1})",
        "F.cross_entropy({0}, {1}, reduction='none').sum()", "nn.NLLLoss()(F.log_softmax({0}, dim=-1), {1})",
    ).format(logits, target)  # fmt: skip


@producer(8)
def view(w: Writer, want: Type, depth: int) -> str | None:
    shape = want.shape
    options: list[tuple[str, Shape]] = []
    if len(shape) < 3:
        n = w.pick(2, 3, 4)
        options += [(t, (n, *shape)) for t in ("{0}[0]", "{0}[-1]", "{0}.select(0, 1)", "{0}[1]", "{0}.unbind(0)[1]")]
        options += [("{0}[:1].squeeze(0)", (n, *shape)), ("next(iter({0}))", (n, *shape))]
    if shape and len(shape) < 3:
        n = w.pick(2, 3)
        options += [("{0}[:, 0]", (shape[0], n, *shape[1:])), ("{0}[..., 0]", (*shape, n))]
    if shape:
        more, double = (shape[0] + 1, *shape[1:]), (2 * shape[0], *shape[1:])
        options += [("{0}[1:]", more), ("{0}[:-1]", more), (f"{{0}}.narrow(0, 0, {shape[0]})", more)]
        options += [("{0}.chunk(2)[0]", double), (f"{{0}}.split({shape[0]})[1]", double), ("{0}[::2]", double)]
        options += [(f"{{0}}.expand({sizes(shape)})", shape[1:]), (f"{{0}}.broadcast_to({as_tuple(shape)})", shape[1:])]
        options += [(f"{{0}}.expand({sizes(shape)})", (1, *shape[1:]))]
    if len(shape) == 2:
        back = (shape[1], shape[0])
        options += [(t, back) for t in ("{0}.t()", "{0}.T", "{0}.transpose(0, 1)", "{0}.permute(1, 0)", "{0}.mT")]
    if len(shape) == 1:
        options.append((f"{{0}}.repeat({shape[0]})", (1,)))
        options += [("{0}.diagonal()", (*shape, *shape)), ("torch.diag({0})", (*shape, *shape))]
    if shape and shape[0] == 1:
        options += [("{0}.unsqueeze(0)", shape[1:]), ("{0}[None]", shape[1:])] * 3
    same = w.find(lambda v: v.type.kind == want.kind and v.type.shape != shape and count(v.type.shape) == count(shape))
    if same is not None:
        text = as_tuple(shape)
        options += [(f"{{0}}.{how}({text})", same.type.shape) for how in ("view", "reshape", "reshape")] * 2
        if len(shape) == 1:
            options += [
                (f"{{0}}.{how}", same.type.shape) for how in ("flatten()", "reshape(-1)", "ravel()", "view(-1)")
            ]
    if not options:
        return None
    template, source = w.pick(*options)
    return template.format(tensor(w, want.like(source), depth))


@producer(3)
def indexed(w: Writer, want: Type, depth: int) -> str | None:
    if not want.shape:
        return None
    source = tensor(w, want.like((w.pick(2, 3, 4), *want.shape[1:])), depth)
    chosen_ = whole(w, Type("index", want.shape[:1]), depth)
    return w.pick("{0}[{1}]", "{0}.index_select(0, {1})", "torch.index_select({0}, 0, {1})").format(source, chosen_)


@producer(8)
def product(w: Writer, want: Type, depth: int) -> str | None:
    k, shape = w.pick(2, 3, 4), want.shape
    shapes: dict[int, list[tuple[str, Shape, Shape]]] = {
        0: [("{0} @ {1}", (k,), (k,)), ("torch.dot({0}, {1})", (k,), (k,)), ("torch.inner({0}, {1})", (k,), (k,))],
        1: [("{0} @ {1}", (k,), (k, *shape)), ("F.linear({0}, {1})", (k,), (*shape, k))]
        + [(t, (*shape, k), (k,)) for t in ("{0} @ {1}", "torch.mv({0}, {1})")],
        2: [(t, (*shape[:1], k), (k, *shape[1:])) for t in ("{0} @ {1}", "torch.matmul({0}, {1})", "{0}.mm({1})",
            "torch.einsum('ij,jk->ik', {0}, {1})", "{0}.matmul({1})")]
        + [("F.linear({0}, {1})", (*shape[:1], k), (*shape[1:], k)), ("torch.outer({0}, {1})", shape[:1], shape[1:])],
        3: [(t, (*shape[:2], k), (*shape[:1], k, *shape[2:])) for t in ("torch.bmm({0}, {1})", "{0} @ {1}")],
    }  # fmt: skip
    options = shapes.get(len(shape))
    if not options:
        return None
    template, left, right = w.pick(*options)
    return template.format(tensor(w, want.like(left), depth), tensor(w, want.like(right), depth))


@producer(5)
def combined(w: Writer, want: Type, depth: int) -> str | None:
    shape = want.shape
    if not shape or shape[0] > 4:
        return f"sum([{tensor(w, want, depth)}, {tensor(w, want, depth)}])" if w.chance(0.3) else None
    if w.chance(0.5):
        parts = ", ".join(tensor(w, want.like(shape[1:]), depth) for _ in range(shape[0]))
        return w.pick("torch.stack([{0}])", "torch.stack(({0}))" if shape[0] > 1 else "torch.stack([{0}])").format(
            parts
        )
    if shape[0] < 2:
        return None
    cut = w.random.randint(1, shape[0] - 1)
    first, second = (cut, *shape[1:]), (shape[0] - cut, *shape[1:])
    return f"torch.cat([{tensor(w, want.like(first), depth)}, {tensor(w, want.like(second), depth)}], dim=0)"


@producer(6)
def cut(w: Writer, want: Type, depth: int) -> str | None:
    return fill(w, w.pick(*CUTS), want, tensor(w, want, depth))


@producer(1)
def either(w: Writer, want: Type, depth: int) -> str | None:
    """A conditional expression."""
    return f"{tensor(w, want, depth)} if {condition(w, depth)} else {tensor(w, want, depth)}"


@producer(1)
def summed_up(w: Writer, want: Type, depth: int) -> str | None:
    """A comprehension."""
    inner = tensor(w, want, depth)
    source = w.find(lambda v: v.type == Type("list", want.shape) and v.detail == want.kind)
    if source is not None:
        return w.pick(
            "sum([t * 2 for t in {0}])", "sum(t for t in {0})", "torch.stack([t.sin() for t in {0}]).sum(0)"
        ).format(source.name)
    return f"sum([{inner} * i for i in range(3)])"


@producer(4)
def factory(w: Writer, want: Type, depth: int = 0) -> str:
    """A new leaf; inside an expression it seldom requires grad."""
    shape = want.shape
    double = ", dtype=torch.float64" if want.kind == "double" else ""
    likely = 0.15 if depth else 0.5
    wants = ", requires_grad=True" if w.chance(likely) else w.pick("", "", "", ", requires_grad=False")
    size = sizes(shape)
    options = [f"torch.{how}({size}{double}{wants})" for how in ("randn", "ones", "zeros", "rand", "randn")]
    options.append(f"torch.full({as_tuple(shape)}, 0.5{double}{wants})")
    options.append(f"torch.randn({as_tuple(shape)}{double}{wants})")
    if w.chance(likely):
        options.append(f"torch.randn({size}{double}).requires_grad_()")
        options.append(f"nn.Parameter(torch.randn({size}{double}))")
    if not shape:
        options += [f"torch.tensor({w.pick('2.0', '0.5', '1.5')}{double}{wants})"] * 3
    if len(shape) == 1:
        numbers = ", ".join(w.pick("1.0", "2.0", "-0.5") for _ in range(shape[0]))
        options += [f"torch.tensor([{numbers}]{double}{wants})", f"torch.linspace(0, 1, {shape[0]}{double}{wants})"]
        options.append(f"torch.arange({shape[0]}.0{double}{wants})")
    if len(shape) == 2 and shape[0] == shape[1]:
        options.append(f"torch.eye({shape[0]}{double}{wants})")
    return w.pick(*options)


# Integers, booleans, numbers


def whole(w: Writer, want: Type, depth: int) -> str:
    """An integer or boolean tensor."""
    if depth > 0 and w.chance(0.5):
        found = w.find(lambda v: v.type == want)
        if found is not None:
            return found.name
    source = tensor(w, Type("float", want.shape), depth - 1) if depth > 0 else None
    if want.kind == "bool":
        if source is None:
            return f"(torch.ones({sizes(want.shape)}) > 0)"
        other = tensor(w, Type("float", want.shape), 0)
        return w.pick(
            "({0} > 0)", "({0} > {1})", "({0} == {1})", "({0} <= 0.5)", "{0}.isfinite()", "torch.isnan({0})",
            "{0}.bool()", "({0} > 0).logical_not()", "~({0} > {1})", "{0}.gt({1})", "(({0} > 0) & ({1} < 1))",
        ).format(source, other)  # fmt: skip
    if want.kind == "index":
        if source is None or w.chance(0.4):
            return f"torch.randint(0, 2, {as_tuple(want.shape)})"
        two = tensor(w, Type("float", (*want.shape, 2)), depth - 1) if len(want.shape) < 3 else source
        options = ["({0} > 0).long()", "({0} > 0).to(torch.int64)"]
        if len(want.shape) < 3:
            options += ["{1}.argmax(-1)", "{1}.argmax(dim=-1)", "{1}.max(-1)[1]", "torch.argmin({1}, dim=-1)"]
        return w.pick(*options).format(source, two)
    if source is None:
        return f"torch.ones({sizes(want.shape)}, dtype=torch.int64)"
    other = tensor(w, want, 0)
    return w.pick(
        "{0}.long()", "{0}.to(torch.int64)", "{0}.type(torch.int64)", "({0} > 0).long()", "{0}.round().long()",
        "({1} + 1)", "({1} * 2)", "{1}.abs()", "({1} - {1})", "{1}.clone()", "({0} > 0) + {1}", "{1}.detach()",
    ).format(source, other)  # fmt: skip


def number(w: Writer, depth: int = 1) -> str:
    """A Python number."""
    found = w.find(lambda v: v.type == NUMBER)
    scalar = tensor(w, SCALAR, depth)
    options = [f"{scalar}.item()", f"float({scalar}.detach())", f"{scalar}.item() * 2", f"float({scalar})", "2.5", "3"]
    shaped = w.find(lambda v: v.type.is_tensor and bool(v.type.shape))
    if shaped is not None:
        options += [f"{shaped.name}.{t}" for t in ("size(0)", "shape[0]", "dim()", "numel()")]
    if found is not None:
        options += [f"{found.name} + 1", f"{found.name} * 0.5", f"{scalar}.item() + {found.name}"]
    return w.pick(*options)


# Conditions

SURPRISES = ("random", "item", "any", "time", "tolist", "sum")
"""Names that stand in every condition which only the run decides, and in no other."""


def condition(w: Writer, depth: int = 1) -> str:
    """A condition that the text decides or, if the program may have surprises, one that it does not."""
    if w.surprises and w.chance(0.5):
        scalar = tensor(w, SCALAR, 0)
        return w.pick(
            "rng.random() < 0.5", "rng.random() < 0.5", f"{scalar}.item() > 0", "time.time() > 0",
            f"{scalar}.sum() > 0.2", "rng.random() > 2",
        )  # fmt: skip
    some = w.some_tensor()
    options = ["True", "False", "torch.is_grad_enabled()", "1 < 2", "not True"]
    if some is not None:
        name = some.name
        options += [f"{name}.requires_grad", f"{name}.requires_grad", f"not {name}.requires_grad", f"{name}.is_leaf"]
        options += [f"{name}.dim() == {len(some.type.shape)}", f"{name}.dim() > 1", f"isinstance({name}, torch.Tensor)"]
        options += [f"{name}.grad is None", f"{name}.grad is not None", f"{name}.grad_fn is None"]
        options += [f"{name}.requires_grad and {name}.is_leaf", f"{name}.is_floating_point()"]
    flag = w.find(lambda v: v.type.kind == "flag")
    if flag is not None:
        options += [flag.name, f"not {flag.name}"] * 3
    return w.pick(*options)
