import torch
from torch import nn

class Net(nn.Module):

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 3)
net = Net()
step = 0
if step:
    pass
else:
    with torch.inference_mode():
        net.linear.weight.data = torch.ones(3)
