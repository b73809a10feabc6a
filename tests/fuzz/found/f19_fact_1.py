import torch
from torch import nn

net = nn.Linear(2, 3)
total = 0
for p in net.parameters():
    pass
total = total + p
