# A Parameter without data is an empty tensor made in inference mode.
import torch
from torch import nn
x1 = torch.ones(3)
with torch.inference_mode():
    if x1.grad:
        1.0
    else:
        p = nn.Parameter()
