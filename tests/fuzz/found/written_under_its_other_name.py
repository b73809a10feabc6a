# What may be the very tensor that is written gets its new grad_fn, or keeps its own.
import torch
x = torch.randn(3, requires_grad=True)
loss = x.mean()
w = torch.randn(3, requires_grad=True)
y1 = loss.contiguous()
a = w.sum().expand(2)
loss += torch.dot(torch.ones(2), a)
y1.backward()
