# What both paths have made got a gradient on one of them.
import torch
for i in range(1):
    x3 = torch.tensor(1.5, requires_grad=True)
    if x3:
        continue
    x3.backward()
