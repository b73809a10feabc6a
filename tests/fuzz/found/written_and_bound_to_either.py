# A tensor that one path has written is what it was on the other, also where both meet in a variable.
import torch
x = torch.randn(4, requires_grad=True)
x1 = torch.tensor(1.5, requires_grad=True)
y = x
if x1:
    d = {'a': 1.0, 'b': x}
    hidden = x1
    y.detach_()
    d['b'] /= x1
    hidden, x = (x, hidden)
