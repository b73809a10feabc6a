import torch
x = torch.ones(3).requires_grad_()
g = torch.autograd.grad((x * x).sum(), x, create_graph=True)[0]
loss = g.norm()
loss.uniform_()
loss.backward()
