import torch
from torch import nn

net = nn.Linear(3, 3)
for q, p in zip(net.parameters(), torch.ones(3)):
    q.requires_grad_(False)
