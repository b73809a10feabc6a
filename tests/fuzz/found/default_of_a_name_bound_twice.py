# A default is what its names stood for at the definition.
import torch
x = torch.randn(3, requires_grad=True)
x1 = 1.0

def f(c: torch.Tensor, b=torch.special.expit(x), a=1.0):
    pass
x = x1
y = f(1.0)
