# What is put into one dict of several is in that one.
import random
import torch
rng = random.Random()
x = torch.ones(3)
w = torch.ones(3, requires_grad=True)
n = rng.randint(2, 2)
hs = [{} for k in range(n)]
hs[0]['t'] = w * 2
hs[1]['t'] = x
y = hs[0]['t']
y.sum().backward()
