# A str on one path and a number on the other is neither.
import torch
x = torch.ones(3)
parts = {'a': x, 'b': x}
for k, t in parts.items():
    if x.sum():
        pass
    else:
        for t, k in zip([1.0], [3]):
            pass
