# With create_graph=True, autograd.grad leaves a gradient with a graph at a tensor that retains it.
import torch
x = torch.linspace(0, 1, 3, requires_grad=True)
x = x.mul(x)
x.retain_grad()
g = torch.autograd.grad((x * x).sum(), x, create_graph=True)
if x.grad is None:
    pass
else:
    pass
