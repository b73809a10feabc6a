# A write to one leaf of a list is none to the others.
import random
import torch
rng = random.Random()
w = torch.ones(3, requires_grad=True)
n = rng.randint(2, 2)
hs = [torch.zeros(3, requires_grad=True) for _ in range(n)]
y = (hs[1] * hs[1]).sum().detach() + (w * hs[1]).sum()
with torch.no_grad():
    hs[0].add_(1)
y.backward()
