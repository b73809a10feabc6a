# What is a view on one of two paths follows its base.
import random
import torch
rng = random.Random()
x = torch.ones(3)
parts = {'a': x.expand(3) if rng else torch.ones(), 'b': 1.0}
u, v = (x, parts)
u.requires_grad = True
