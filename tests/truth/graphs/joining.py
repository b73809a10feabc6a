import torch

a = torch.randn(2, 3, requires_grad=True)
b = torch.randn(2, 3, requires_grad=True)
c = torch.randn(2, 3)
left, right = torch.chunk(torch.cat([a, b], dim=0), 2)
stacked = torch.stack([left, right, c])
loss = stacked.exp().sum()  # draw: loss
