# of the rows of a tensor each is another one
import torch
x = torch.full((3,), 0.5, requires_grad=True)
for k, t in enumerate(x):
    parts = {'a': x, 'b': x}
    parts.update(c=t)
    t.data = x[0].clone()
    x.backward(x)
