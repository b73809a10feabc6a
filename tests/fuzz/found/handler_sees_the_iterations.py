# A handler sees what a loop variable held in between.
import torch
x = torch.rand(4, requires_grad=True)

class Box:

    def __init__(self, value, scale):
        pass

    def update(self, y, c: torch.Tensor):
        g = torch.autograd.grad(x, x)
box = Box(x, 1.0)
try:
    for t in [x.sum(), x]:
        box.update(x, x)
except RuntimeError:
    pass
