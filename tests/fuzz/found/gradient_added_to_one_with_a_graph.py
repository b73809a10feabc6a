# A gradient is added to one that may have a graph.
import torch
x = torch.randn(3, requires_grad=True)
if torch.ones(()):
    (x * x).sum().backward(create_graph=True)
mid = x
mid.sum().backward()
