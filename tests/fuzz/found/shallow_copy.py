# A shallow copy holds the same objects.
import copy
import torch
x = torch.ones(3)
w = torch.ones(3, requires_grad=True)
d = {'a': [x]}
e = copy.copy(d)
e['a'].append(w)
y = d['a'][-1]
