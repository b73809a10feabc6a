# the gradient that is given to a result in a loop is there behind it
import torch
x = torch.tensor(0.5, requires_grad=True)
x1 = torch.ones(3)
for i in x1:
    x = torch.atan2(x, x)
    x.grad = torch.zeros_like(x)
x.grad
