# One of two leaves is detached in place.
import torch
x = torch.ones(3).requires_grad_()
x1 = torch.full((3,), 0.5, requires_grad=True)
y = x
if x.norm():
    y3 = x
else:
    y3 = x1
y.detach_()
