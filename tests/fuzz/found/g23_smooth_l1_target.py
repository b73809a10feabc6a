import torch
from torch import nn
x = torch.ones(3)
x = nn.SmoothL1Loss()(x, torch.ones(3, requires_grad=True))
x.backward()
torch.autograd.backward(x)
