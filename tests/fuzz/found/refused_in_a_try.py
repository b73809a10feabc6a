# What refuses to require grad does not.
import torch
x2 = torch.ones(3)
top, where = x2.max(dim=-1)
y = y1 = top
try:
    with torch.inference_mode():
        fast = y.sinh()
    fast.requires_grad_()
except Exception:
    pass
