import torch
normal = torch.distributions.Normal(torch.zeros(3, requires_grad=True), torch.ones(3))
y1 = normal.entropy()
y1.backward()
