import torch
from torch import nn

net = nn.GRU(4, 4)
opt = torch.optim.SGD(net.parameters(), lr=0.1)
