import torch
from torch import nn
net1 = nn.Linear(4, 3)
g = torch.autograd.grad(net1.weight.pow(2).sum(), net1.weight, create_graph=True)[0]
loss = g.sum()
g.mean().backward()
loss.backward()
