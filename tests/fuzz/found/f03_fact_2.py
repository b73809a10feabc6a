import torch

x = torch.ones(3)
left, right = x.chunk(2)
