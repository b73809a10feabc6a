import torch

y = torch.ones(3)
z = y.index_select(0, torch.tensor([0, 1]))
