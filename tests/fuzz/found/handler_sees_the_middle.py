# A handler sees what variables held in between.
import torch
h = torch.ones(3)
try:
    total = torch.randn((3,), requires_grad=True)
    h.backward()
    total = total * 1.0
except RuntimeError:
    pass
