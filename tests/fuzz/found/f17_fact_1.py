import copy
import torch

x = torch.randn(4, requires_grad=True)
x.sum().backward()
y = copy.deepcopy(x)
print(y.grad)
