# A list that grows while a loop goes through it by zip, in a function that the body calls.
from torch import nn
items = [1.0]

class Net(nn.Module):

    def forward(self, x):
        items.append(1.0)
net = Net()
for t, k in zip(items, [2, 3]):
    y5 = (net(1.0),)
