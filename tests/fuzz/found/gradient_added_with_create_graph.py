# With create_graph=True backward puts a new tensor into .grad, and does not add in place.
import torch
x = torch.ones(3, requires_grad=True)
torch.autograd.backward(x.mean())
gradient = x.grad
x.mean().backward(create_graph=True)
