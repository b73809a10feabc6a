# What backward with create_graph left in .grad may hang on anything, also in a product with a leaf.
import torch
x = torch.randn((), requires_grad=True)
x1 = torch.zeros((), requires_grad=True)
x2 = torch.randn((), requires_grad=False)
torch.atan2(x, x2).backward(create_graph=True)
g, = torch.autograd.grad([x1 * x.grad], (x,), create_graph=True)
