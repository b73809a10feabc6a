import torch

x = torch.ones(3)
left, right = x.split(2)
