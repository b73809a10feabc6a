# autograd.grad runs only what leads to its inputs for sure
import torch
from torch import nn
x = torch.randn(4, requires_grad=True)
x1 = torch.full((4,), 0.5, requires_grad=True)
y = x1
late = nn.Tanh()(y)
for i1 in x:
    late, x = (x, late)

def combine1(*args, scale=2.0, **options):
    return x * scale
y5 = combine1()
y5.backward(x)
g, = torch.autograd.grad([(x1 * torch.stack((y5.sum(), torch.randn(()), torch.ones(()), x.norm()))).sum()], (x1,))
