# A number that torch makes a tensor of is no inference tensor.
import torch
from torch import nn
x = nn.Parameter(torch.randn(3, 3))
with torch.inference_mode():
    fast = x.abs()
fast = fast.detach()
fast -= x
x = fast @ fast
x[:] = fast.add(1)
