# A Parameter has the dtype of what it was made of.
import torch
from torch import nn
x = nn.Parameter(torch.randn(3, dtype=torch.float64))
with torch.inference_mode():
    fast = x.to(torch.float64)
