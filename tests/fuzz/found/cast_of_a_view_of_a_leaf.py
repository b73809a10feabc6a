# What casts a view of a leaf may be a copy, which can be written.
import torch
w = torch.ones(3, requires_grad=True)
y = w[0:2].double()
y.add_(1)
