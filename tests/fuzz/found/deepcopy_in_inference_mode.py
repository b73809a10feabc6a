# A module that is copied in inference mode.
import copy
import torch
from torch import nn

class Net(nn.Module):

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(2, 3)
net = Net()
with torch.inference_mode():
    average = copy.deepcopy(net)
    for q, p in zip(average.parameters(), net.parameters()):
        pass
