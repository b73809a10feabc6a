# the gradient set through one name is that of all that may be the same tensor
from torch import nn
net = nn.Linear(3, 4)
hidden = net.weight.contiguous()
hidden.sum().backward()
fast = hidden.to('cpu')
fast.grad = None
