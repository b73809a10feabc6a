# Any list may be the one at an unknown index.
import random
import torch
rng = random.Random(7)
x = torch.ones(3)
w = torch.ones(3, requires_grad=True)
a = [x]
c = [a, [w]]
d = c[rng.randint(0, 0)]
d.append(w)
y = a[-1]
