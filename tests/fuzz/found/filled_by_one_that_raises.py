# A backward with create_graph=True that raises on its way may have left a gradient with a graph where none was.
import torch
from torch import nn
x2 = torch.randn(3, requires_grad=True)
x3 = nn.Parameter(torch.randn(()))
mid = x2.expm1()
end = mid
with torch.no_grad():
    mid.clamp_(min=0)
top, where = torch.mv(x3.expand(3, 2).mul(end.sum().expand(3, 2)), torch.zeros(2)).max(dim=-1)
try:
    top.backward(create_graph=True)
except RuntimeError:
    pass
x3.backward()
