import torch
x = torch.full((3,), 0.5, requires_grad=True)
g, = torch.autograd.grad(x.index_select(0, torch.randint(2, (2,))).sum(), [x], create_graph=True)
g.grad * 2
