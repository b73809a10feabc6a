# An inference tensor is given the memory of one that is none.
import copy
import torch
from torch import nn
net = nn.LayerNorm(2)
with torch.inference_mode():
    average = copy.deepcopy(net)
    for q, p in zip(average.parameters(), net.parameters()):
        q.data = p.data
