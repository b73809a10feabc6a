# The default of a parameter is computed while the decorator's set_grad_enabled(False) holds.
import torch
x = torch.tensor([2.0], requires_grad=True)

class Box:

    def __init__(self, value, scale):
        pass

    @torch.set_grad_enabled(False)
    def update(self, c: torch.Tensor, y=(x * 2)[0], a=x):
        pass
box = Box(x, x)
y3 = box.update(x)
