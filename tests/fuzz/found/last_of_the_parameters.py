# An optimizer is given the last parameter of a loop: one of several, not all of them.
import torch
from torch import nn
net = nn.Linear(2, 5)
net1 = net
for p in net1.parameters():
    pass
opt = torch.optim.AdamW([p])
