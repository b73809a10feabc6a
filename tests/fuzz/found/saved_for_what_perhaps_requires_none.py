# A factor that is saved only if the other one requires grad may be nothing that backward frees.
import torch
from torch import nn
x = torch.ones(3)
x1 = torch.linspace(0, 1, 3, requires_grad=True)
layer = nn.Linear(3, 2)
layer.weight.requires_grad = False
g, = torch.autograd.grad((x1 * x).sum(), [x1], create_graph=True)
y6 = layer(g)
y6.backward(torch.ones(2))
