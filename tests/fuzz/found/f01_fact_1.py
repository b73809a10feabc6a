import torch

x = torch.randn(4, requires_grad=True)
with torch.no_grad():
    y = x.view(-1)
    left, right = x.split(2)
print(y.requires_grad)
