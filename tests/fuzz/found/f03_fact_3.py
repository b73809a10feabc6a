import torch

y = torch.ones(4).narrow(0, 0, 3)
