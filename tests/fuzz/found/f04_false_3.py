import torch

x = torch.zeros(3, requires_grad=True)
row, row1, row2 = torch.clamp(x, max=1.0)
with torch.no_grad():
    x.zero_()
(g,) = torch.autograd.grad(row, [row])
