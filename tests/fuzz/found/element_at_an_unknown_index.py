# Any element may be the one at an unknown index.
import random
import torch
rng = random.Random(7)
x = torch.ones(3)
w = torch.ones(3, requires_grad=True)
items = [x, w]
i = rng.randint(0, 0)
items[i].requires_grad_()
