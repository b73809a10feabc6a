# What may be a written one may have its graph.
import random
import torch
rng = random.Random()
w = torch.ones(3, requires_grad=True)
n = rng.randint(2, 2)
hs = [torch.zeros(3) for _ in range(n)]
hs[0].add_(w)
z = hs[1].requires_grad_()
hs[0].sum().backward()
