# set_grad_enabled as a decorator is on while the defaults are evaluated.
import torch
x = torch.randn(3, requires_grad=True)

@torch.set_grad_enabled(False)
def f(b=x * 1.0):
    pass
y = f()
