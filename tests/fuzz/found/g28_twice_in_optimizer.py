import torch
x = torch.ones(3)
loss = x
opt = torch.optim.RMSprop([x, loss])
