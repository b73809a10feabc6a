# Each row is an object of its own, also below zip.
import torch
x = 1.0
loss = torch.ones(3)
for t, k in zip(loss, [2, 3]):
    x = loss
    t.grad = torch.zeros_like(t)
