import torch
x2 = torch.ones(3, requires_grad=True)
1.0
g = x2
loss = g.norm()
y = y1 = loss.to()
loss.backward()
loss.backward()
