import torch
x = torch.ones(3)
x1 = torch.full((3,), 0.5, requires_grad=True)
mid = x.view_as(x)
x += x1
