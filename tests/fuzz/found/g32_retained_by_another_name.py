import torch

y = torch.ones(3, requires_grad=True).exp().sum()
y1 = y
if y.item() > 0:
    y2 = torch.ones(3, requires_grad=True).sum()
else:
    y2 = y1
loss = y2
loss.retain_grad()
