import torch

x = torch.randn(3, requires_grad=True)
y = x.exp()
step = 0
while step < 1:
    step += 1
    y.sum().backward()
