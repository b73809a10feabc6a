"""Every conversion of a tensor here: does the linter report it exactly where torch or Python refuses it?"""

from __future__ import annotations

import warnings

import pytest

from flake8_detach.knowledge import conversions
from flake8_detach.rules import check
from flake8_detach.source import Source

torch = pytest.importorskip("torch")
pytestmark = [pytest.mark.truth, pytest.mark.filterwarnings("ignore")]

PRELUDE = """\
import decimal
import fractions
import json
import math
import statistics

import numpy as np
import torch
import torch.nn as nn
from torch.autograd import backward

x = torch.ones(3, requires_grad=True)
d = torch.ones(3)
i = torch.arange(3)
b = torch.ones(3) > 0
v = torch.ones(2, 3)
z = torch.ones(3, dtype=torch.cfloat)
o = torch.ones(1)
s = torch.ones(())
n = torch.tensor(2)
p = nn.Parameter(torch.tensor(1.0))
a = np.ones(3)
"""
STATEMENTS = """\
float(d); float(o); float(s); float(v[:, :1]); int(d); int(s); complex(d); complex(s); bool(d); bool(s); bool(o)
d.item(); o.item(); s.item(); d.__float__(); d.tolist(); s.tolist(); d.sum().item(); v.sum(0).item(); v.mean().item()
math.sqrt(d); math.sqrt(s); math.exp(o); math.isnan(d); math.floor(d); math.hypot(d, d); math.fsum([s, s])
math.prod(d)
range(d); range(s); range(n); range(o); range(n.item()); [1, 2, 3][s]; [1, 2, 3][n]; (1, 2)[s]; d[:s]; d[:n]; d[n]
d[0][0]; s[0]; s[:]; s[None]; s[...]; s[True]; d[0, 0]; v[0, 0]; v[0, 0, 0]; v[:, :, 0]; v[..., 0]; d[None, 0]
s.data[0]; d.sum()[0]; v.sum(0)[0]; d[0].item(); v[-1][-1]; v[0][0][0]; d[b]; s[s > 0]
"%d" % d; "%.3f" % d; "%.3f" % o; "%.3f" % s; "%s" % d; "%s %.2f" % (d, 1.0); "%s %.2f" % (s, d); "%(k).2f" % {"k": d}
"%5.1f%%" % s; "%r" % d; "%.2f %.2f" % (s, o); "%.*f" % (2, s)
f"{d:.2f}"; f"{o:.2f}"; f"{s:.2f}"; f"{d}"; f"{o!r}"; f"{p:.3f}"; f"{p}"; f"{p * 1:.3f}"; f"{p.item():.3f}"
f"{d!s:>20}"
format(d, ".2f"); format(d); format(s, ".2f"); format(d, ""); "{}".format(d); "{:.2f}".format(o); "{:.2f}".format(s)
"{k:.1f}".format(k=d); "{1:.1f} {0}".format(d, s); "{0:.1f} {1}".format(d, s); "{!r:>10}".format(d)
"{:{}}".format(s, ".2f")
torch.tensor([d, d]); torch.tensor([o, o]); torch.tensor([s, s]); torch.tensor([s, d]); torch.tensor([[s, s], [s, s]])
torch.as_tensor([d, d]); torch.as_tensor([s, s]); torch.Tensor([d, d]); torch.FloatTensor([s, s])
torch.tensor((d, d))
round(d); round(s); round(s.item(), 2); abs(d); memoryview(d); bytes(d); bytearray(d)
max(d, d); max(s, s); min(d, d); max(o, s); max([s, s]); min(x.sum(), 0.0); max(d)
not d; not s; d and d; s and d; d or d; d if d else 0; d if s else 0; any(d); all(d); d.any() and d.all()
bool(d.any())
assert d; assert s; assert d.all()
if d: pass
if s: pass
if d.sum() > 0: pass
if d is not None: pass
while d: break
[k for k in d if k]; [k for k in s]; list(s); tuple(s); len(s); len(d); list(d); iter(s); {k for k in d}
for k in s: pass
for k in d: pass
for k in enumerate(d): pass
torch.stack([1.0, 2.0]); torch.stack([s.item(), s.item()]); torch.cat([1.0]); torch.stack([d, 1.0])
torch.stack([s, s])
torch.cat([s, s]); torch.cat([d, o]); torch.stack([d, None]); torch.cat([s[None], s[None]]); torch.stack((s, s))
torch.cat((d, d))
torch.stack([float(k) for k in d]); torch.stack([k for k in d]); torch.cat([k for k in v])
a * d; a + d; a - d; a / d; a ** d; a @ d; a // d; a % d; d * a; d + a; a * x; a - x; np.float64(2) * d
np.float64(2) + d
a += d
a *= d
a /= d
a -= x.detach().numpy()
x.__dlpack__(); d.__dlpack__(); np.from_dlpack(x); np.from_dlpack(d); torch.from_dlpack(x); torch.from_dlpack(d)
d.bfloat16().numpy(); d.to(torch.bfloat16).numpy(); d.bfloat16().float().numpy(); d.half().numpy()
d.bfloat16()[0:2].numpy()
torch.ones(2, dtype=torch.bfloat16).numpy(); d.bfloat16().detach().numpy(); d.bfloat16().view(torch.int16).numpy()
d.bfloat16().tolist(); np.asarray(d.bfloat16()); np.asarray(d); d.bfloat16().clone().cpu().numpy()
d.bfloat16().double().numpy()
d.to("cpu", torch.bfloat16).numpy(); d.to(dtype=torch.bfloat16).numpy(); torch.randn(2).bfloat16().to("cpu").numpy()
z.conj().numpy(); z.conj().resolve_conj().numpy(); z.conj().clone().numpy(); z.conj().conj().numpy()
z.conj().real.numpy()
z.conj().detach().numpy(); np.asarray(z.conj()); (z.conj() * 1).numpy(); d.conj().numpy(); torch.conj(z).numpy()
z.numpy()
d.to_sparse().numpy(); d.to_sparse().to_dense().numpy(); d.to_sparse().values().numpy()
torch.quantize_per_tensor(d, 0.1, 0, torch.qint8).numpy()
torch.quantize_per_tensor(d, 0.1, 0, torch.qint8).dequantize().numpy()
torch.quantize_per_tensor(d, 0.1, 0, torch.qint8).int_repr().numpy()
json.dumps({"a": s}); json.dumps([d]); json.dumps(s); json.dumps({"a": s.item()}); json.dumps(s, default=str)
json.dumps(d.tolist())
statistics.mean([s, s]); statistics.fmean([s, s]); statistics.median([s, s]); statistics.stdev([s, s])
statistics.variance([s, s])
decimal.Decimal(s); decimal.Decimal(s.item()); fractions.Fraction(s); statistics.pstdev([s, s])
statistics.pvariance([s, s])
i += d
i += 1.5
i += 1
i -= 0.5
i *= 0.5
i /= 2
i //= 2
i //= 2.0
i **= 2
i **= 0.5
i %= 2
i %= 2.5
b += 1
b *= True
b += b
i += b
i += s
d += 1
d += i
d /= 2
d += z
d *= 1j
i[0] += 0.5
i[0] = 0.5
v[0] /= 2
i.add_(d); i.add_(1); i.mul_(0.5); i.div_(2); i.div_(2, rounding_mode="floor"); i.sqrt_(); i.exp_(); i.sigmoid_()
i.floor_()
i.copy_(d); i.fill_(0.5); i.masked_fill_(b, 0.5); i.sub_(1.5); i.abs_(); i.pow_(0.5); i.pow_(2); i.atan2_(d)
i.log_(); i.tanh_()
i.reciprocal_(); i.rsqrt_(); i.round_(); i.remainder_(2.5); i.fmod_(2.5); i.fmod_(2); d.add_(z); d.sqrt_()
d.add_(i); i.lt_(d)
i.true_divide_(2); i.hypot_(d); i.addcmul_(d, d); i.addcmul_(i, i); i.addcdiv_(d, d); i.sin_(); i.cos_(); i.log1p_()
i.expm1_()
i.floor_divide_(2.0); i.floor_divide_(2)
"""


def statements() -> list[str]:
    """One a line, or several expressions with semicolons between them."""
    lines = STATEMENTS.splitlines()
    return [part.strip() for line in lines for part in (line.split(";") if not line.endswith(": pass") else [line])]


@pytest.mark.parametrize("statement", statements())
def test_the_linter_reports_what_torch_refuses(statement: str) -> None:
    space: dict[str, object] = {}
    refused = ""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(PRELUDE, space)
        try:
            exec(statement, space)
        except Exception as error:
            refused = str(error)
    found = check(Source(f"{PRELUDE}{statement}\n"))
    codes = {finding.code for finding in found if finding.confidence == "certain"}
    assert bool(codes & {"AGD102", "AGD125"}) == bool(refused), (codes, refused)


def test_every_function_of_the_table_is_called() -> None:
    called = " ".join(statements())
    assert [name for name in conversions.REFUSING if name != "json.dump" and f"{name}(" not in called] == []
    methods = [name for name in conversions.IN_PLACE if f".{name}_(" not in called]
    assert methods == ["div"] or methods == []
