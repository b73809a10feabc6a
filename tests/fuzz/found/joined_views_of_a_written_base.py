# A view that stands for one of several is a view of the same base.
import torch
from torch import nn
x = torch.ones(3)
for i in x:
    pair = (x.expand(3),)

class Net(nn.Module):

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(2, 2)
net = Net()
d = dict(b=net.linear.weight)
x[0,] = d['b'].max()
