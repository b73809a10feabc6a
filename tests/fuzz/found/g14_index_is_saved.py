import torch
x = torch.linspace(0, 1, 3, requires_grad=True)
for t, k in zip([1.0, 1.0, 1.0], [1, 2, 3]):
    x.sum().backward()
    x = x[torch.randint(2, (3,))]
