# a module converted there and back has other memory
import torch
from torch import nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(3))
        self.register_buffer('running', torch.ones(3))
net = Net()
net.double()
y = net.running
w = net.scale.data
net.float()
z = net.running
net.to(torch.float64)
u = net.running
net.to(torch.float32)
net.type(torch.double)
