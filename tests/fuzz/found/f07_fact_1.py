import torch

x = torch.ones(3, requires_grad=True)
x.sum().backward()
(x * x).sum().backward(create_graph=True)
