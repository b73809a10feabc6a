# What a layer holds is there before somebody asks.
import torch
from torch import nn
net = nn.BatchNorm1d(3)
try:
    y1 = net()
except (TypeError,) as error:
    pass
opt = torch.optim.SGD(net.parameters())
