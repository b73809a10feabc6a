# What a handler has left may be the tensor that is detached in `finally`.
import torch
x = torch.randn((3,), requires_grad=True)
x2 = x
total = x.sinh()
try:
    x2 = total
except RuntimeError:
    pass
finally:
    total.detach_()
