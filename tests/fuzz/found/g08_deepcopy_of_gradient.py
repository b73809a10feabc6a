import copy
import torch
x = torch.rand(3, requires_grad=True)
g, = torch.autograd.grad([(x * x).sum()], (x,), create_graph=True)
y = copy.deepcopy(g)
