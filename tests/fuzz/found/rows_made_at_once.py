# The rows of a tensor are made before the first turn.
import torch
x = torch.full((2,), 0.5, requires_grad=True)
for t in x:
    x.requires_grad_(False)
