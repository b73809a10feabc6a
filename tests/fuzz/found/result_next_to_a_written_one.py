# What was written was the result of another call.
import random
import torch
rng = random.Random()
w = torch.ones(3, requires_grad=True)
n = rng.randint(2, 2)
hs = [w.exp() for i in range(n)]
hs[1] += 1
hs[0].sum().backward()
