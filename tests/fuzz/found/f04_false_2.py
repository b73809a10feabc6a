import torch

x = torch.rand(3, requires_grad=True)
x1 = torch.randn(3, requires_grad=True)
mid = x1 * x1
mid.sum().backward()
g = torch.autograd.grad(torch.where(x > 0, mid, x).sum(), x)
