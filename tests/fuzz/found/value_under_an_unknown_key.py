# Any value may be the one under an unknown key.
import random
import torch
rng = random.Random(7)
x = torch.ones(3)
w = torch.ones(3, requires_grad=True)
d = {'a': x, 'b': w}
k = 'a' if rng.random() < 2 else 'b'
d[k].requires_grad_()
