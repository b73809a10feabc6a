# What a loop has computed and backwarded is used up behind it.
import torch
from torch import nn
x2 = torch.ones(3)
cell = nn.GRUCell(3, 3)
for i in x2:
    h = cell(x2)
    h.sum().backward()
h.max().backward()
