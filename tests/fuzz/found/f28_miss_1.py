import torch

x = torch.zeros(3, requires_grad=True)
x1 = torch.ones(3)
(g,) = torch.autograd.grad(x.sum(), [x1], allow_unused=True)
