# A backward from one element of a list fills the gradients that belong to that one.
import random
import torch
rng = random.Random()
n = rng.randint(2, 2)
ws = [torch.ones(3, requires_grad=True) for _ in range(n)]
hs = [t * 2 for t in ws]
hs[0].sum().backward()
g0 = ws[0].grad
g1 = ws[1].grad
