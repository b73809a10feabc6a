import torch

x = torch.ones(3)
if x.dim() == 1:
    late = x
late.sum().backward()
