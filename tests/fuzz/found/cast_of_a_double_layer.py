# What a layer was cast to before, it is already.
import torch
from torch import nn
net = nn.Linear(3, 3).double()
y = net.weight.double()
y.requires_grad_(False)
