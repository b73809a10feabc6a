# `parts.items()` is not the list `items` that the loop makes longer.
import torch
from torch import nn
x = torch.ones(3)
items = [1.0]
x.requires_grad_()

class Net(nn.Module):

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 3)
net = Net()

class Box:

    def __init__(self, value, scale):
        self.value = value
box = Box(net.linear(x), x)
parts = {'a': x, 'b': box.value}
for k, t in parts.items():
    items.insert(0, x)
    t.mean().backward()
