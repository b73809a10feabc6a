import torch
x = 1.0
parts = {'a': torch.zeros(2).matmul(torch.rand(2, requires_grad=True)), 'b': 1.0}
y = parts['a']
y.retain_grad()
opt = torch.optim.SGD([y])
