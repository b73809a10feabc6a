# retain_grad goes along to the new grad_fn when the tensor is written.
import torch
x1 = torch.eye(3, requires_grad=True)
d = dict(a=x1.sum())
d['b'] = d['a']
d['a'].retain_grad()
mid = d['b'] * 1.0
d['b'].mul_(2)
mid.backward()
