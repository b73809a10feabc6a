import torch
x2 = torch.eye(3, requires_grad=True)
u, v = (x2, 1.0)
u.backward()
