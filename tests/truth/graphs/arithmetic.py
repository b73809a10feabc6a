import torch

w = torch.randn(3, requires_grad=True)
b = torch.zeros(3, requires_grad=True)
x = torch.randn(3)
y = w * x + b
z = (1 - y) ** 2 / 3.0
loss = -z.mean() + w.abs().sum()  # draw: loss
