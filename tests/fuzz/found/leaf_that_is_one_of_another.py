# One of two leaves, by way of a third.
import torch
x = torch.ones(3)
x2 = torch.ones(3)
x3 = torch.ones(3, requires_grad=True)
x3 = x3 + 1.0
if x3.is_leaf:
    pass
elif x2.mean():
    try:
        x2 = x
    except Exception:
        pass
opt = torch.optim.SGD([x, x2])
