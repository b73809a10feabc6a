# A buffer that double() converts in inference mode is an inference tensor from then on.
import torch
from torch import nn
x = torch.ones(3)

class Net(nn.Module):

    def __init__(self):
        super().__init__()
        self.register_buffer('running', x)
net = Net()
with torch.inference_mode():
    net.double()
