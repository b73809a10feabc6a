# a buffer is another tensor after each conversion
import torch
from torch import nn
x = torch.ones(3)

class Net(nn.Module):

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(x)
        self.register_buffer('running', x)
net = Net()
for t in [1.0, 1.0]:
    y = net.running
    net.double().float()
net.running[0] += net.scale.select(0, 1)
