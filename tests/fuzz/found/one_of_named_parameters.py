# One of the named parameters is not all of them.
import torch
from torch import nn
net = nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 3))
params = dict(net.named_parameters())
params['0.weight'].requires_grad_(False)
net(torch.ones(3)).sum().backward()
