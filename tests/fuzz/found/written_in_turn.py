# Of tensors that a loop writes in turn, one that requires grad does not make the others do so.
import torch
x = torch.zeros(3, requires_grad=True)
if not x.requires_grad:
    pass
else:
    y = x
x1 = torch.ones(3)
items = [x]
if not y.requires_grad:
    pass
else:
    parts1 = {'a': x.mean(), 'b': x1}
    for k, t in parts1.items():
        try:
            items.append(t)
        except RuntimeError:
            x1.requires_grad_()
        else:
            t *= 1.0
