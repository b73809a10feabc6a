# What is appended to one list of several is in that one.
import random
import torch
rng = random.Random()
x = torch.ones(3)
w = torch.ones(3, requires_grad=True)
n = rng.randint(2, 2)
hs = [[] for k in range(n)]
hs[0].append(w * 2)
hs[1].append(x)
y = hs[0][0]
z = len(hs[0])
y.sum().backward()
