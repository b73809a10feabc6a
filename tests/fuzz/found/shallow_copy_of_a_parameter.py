# A shallow copy of a Parameter is made of the same memory.
import copy
import torch
from torch import nn

class Net(nn.Module):

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter()
net = Net()
with torch.inference_mode():
    pair = (copy.copy(net.scale),)
