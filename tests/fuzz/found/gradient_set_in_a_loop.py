# A gradient that is set in every iteration is there behind the loop.
import torch
x2 = torch.ones(3)
for i in x2:
    if False:
        pass
    else:
        y3 = torch.ones(3)
        y4 = y3
        y4.grad = torch.ones(3)
