import torch

w = torch.randn(4, requires_grad=True)
v = torch.randn(4, requires_grad=True)
y = w * 2
y.add_(v)
y += w
y.relu_()
total = y.sum()  # draw: total
