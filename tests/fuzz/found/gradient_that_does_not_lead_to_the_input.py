# A gradient with a graph that does not lead to the input: `autograd.grad` frees nothing of it.
import torch
x2 = torch.tensor(1.5, requires_grad=True)
g, = torch.autograd.grad([x2 * x2.detach().requires_grad_()], (x2,), create_graph=True)
g1, = torch.autograd.grad(g, [x2], allow_unused=True)
