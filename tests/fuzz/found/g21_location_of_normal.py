import torch
x1 = torch.ones(3, requires_grad=True)
normal = torch.distributions.Normal(torch.cumsum(x1, dim=-1), 1.0)
y = normal.mean
gradient = y.grad
