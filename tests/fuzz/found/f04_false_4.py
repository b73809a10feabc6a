import torch

x = torch.randn(3, requires_grad=True)
end = torch.exp(x)
end.sum().backward()
row, row1, row2 = end
(g,) = torch.autograd.grad(row2, [row2])
