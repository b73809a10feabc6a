# Two names that are swapped in each turn, which ends with continue.
import torch
x = torch.randn(()).requires_grad_()
x2 = torch.zeros((), requires_grad=True)
loss = x
for i in range(3):
    x, x2 = (x2, x)
    continue
