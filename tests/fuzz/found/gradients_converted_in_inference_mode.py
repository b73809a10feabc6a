# a gradient that a module converts in inference mode is an inference tensor
import torch
from torch import nn

class Net(nn.Module):

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(2, 3)

    def forward(self, x):
        h = self.linear(x)
        return h
net = Net()
h = net(torch.randn((2,)))
h.sum().backward()
with torch.inference_mode():
    net.double()
