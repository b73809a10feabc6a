# A leaf that is told to retain its gradient is told nothing.
import torch
x = torch.zeros(3, requires_grad=True)
g = torch.ones(3)
x.retain_grad()
h = x.sum()
if g.requires_grad and g.is_leaf:
    pass
else:
    x.requires_grad = False
    x *= h
