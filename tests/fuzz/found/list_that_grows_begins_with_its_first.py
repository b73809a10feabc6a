# a list that grows under its loop begins with its first element
import torch
x1 = torch.randn(4, requires_grad=True)
x2 = torch.linspace(0, 1, 4, requires_grad=True)
first, *rest = (x1, x1, x2)
for t in rest:
    t.backward(x2)
    rest.extend([x1])
