import copy
import torch

x = torch.rand(4, requires_grad=True)
loss = x
for i in range(12):
    loss = loss + 1
x.zero_()
