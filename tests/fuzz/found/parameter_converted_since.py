# a converted Parameter is another end of the graph: what was made of it before does not lead to it
import torch
from torch import nn
net = nn.Linear(2, 2)
y = net(torch.rand(2)).sum()
net.double()
z = (y * net.weight).sum()
g, = torch.autograd.grad(z, (net.weight,))
y.backward()
