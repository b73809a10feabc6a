# A module gives its own parameters before those of its children.
import torch
from torch import nn

class Net(nn.Module):

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 3)
        self.scale = nn.Parameter(requires_grad=False)
net = Net()
average = net
for q, p in zip(average.parameters(), net.parameters()):
    pass
g, = torch.autograd.grad(p.sum(), [p])
