# A handler may see any of the values of a variable that was unbound before.
import torch
x = torch.ones(3)
w = torch.ones(3, requires_grad=True)
try:
    y = x
    z = w.numpy()
    y = w
except RuntimeError:
    y.requires_grad_()
