import torch
from torch import nn
x2 = nn.Parameter()
if (y1 := x2.sub(x2)).is_leaf:
    pass
with torch.inference_mode():
    fast = y1.contiguous()
