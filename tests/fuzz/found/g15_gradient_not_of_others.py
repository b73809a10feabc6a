import torch
x = torch.arange(4.0, requires_grad=True)
x2 = torch.full((3,), 0.5, requires_grad=True)
g = torch.autograd.grad(x.pow(2).sum(), x, create_graph=True)[0]
loss = g.mean()
g1, = torch.autograd.grad([loss - loss.detach()], (x2,))
