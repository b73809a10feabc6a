import torch
x = torch.ones(3)
mid = x.to()
opt = torch.optim.SGD([x, mid])
