# One parameter of a list of them is not all of them.
import torch
from torch import nn
net = nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 3))
ps = list(net.parameters())
ps[0].requires_grad_(False)
ps.pop(0)
y = net[0].weight
