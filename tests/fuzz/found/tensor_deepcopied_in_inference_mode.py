# A tensor that is copied in inference mode is an inference tensor.
import copy
import torch
from torch import nn

class Net(nn.Module):

    def __init__(self):
        self.linear = torch.ones(3)
net = Net()
with torch.inference_mode():
    average = copy.deepcopy(net)
