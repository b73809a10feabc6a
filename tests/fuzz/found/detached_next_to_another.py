# One element of a list that is detached is not all of them.
import random
import torch
rng = random.Random()
n = rng.randint(2, 2)
hs = [torch.zeros(3, requires_grad=True) for k in range(n)]
hs[0].detach_()
hs[0].add_(1)
(hs[1] * 2).sum().backward()
