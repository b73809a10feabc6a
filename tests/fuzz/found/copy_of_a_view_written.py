# What casts a view may be a copy: then the base is not written.
import torch
x = torch.ones(3)
x1 = torch.zeros(3, requires_grad=True)
y = x
y3 = y.expand(4, 3)
y3 = y3.double()
y3[0] = x1
