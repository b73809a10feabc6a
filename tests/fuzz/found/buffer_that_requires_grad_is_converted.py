# A buffer that requires grad is computed from itself when its module is converted.
import torch
from torch import nn

class Net(nn.Module):

    def __init__(self):
        super().__init__()
        self.register_buffer('running', torch.ones(3))
net = Net()
net.running.requires_grad_()
net.double()
