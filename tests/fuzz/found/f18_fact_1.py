import torch

x = torch.ones(3)
y = x.view(-1)
y.data = torch.ones(3)
