# A module that is cast has other buffers.
import torch
from torch import nn

class Net(nn.Module):

    def __init__(self):
        super().__init__()
        self.register_buffer('running', torch.ones(3))
net = Net()
y = net.running
net.double()
