# The gradient towards one factor hangs on the other one, not on the graph that is used up.
import torch
import torch.nn.functional as F
x = torch.randn((3,), requires_grad=True)
hidden = F.dropout(x)
hidden.sum().backward()
g, = torch.autograd.grad((hidden * x).sum(), [hidden], create_graph=True)
