# autograd.grad asks only what lies between whether it was freed
import torch
x = torch.rand((), requires_grad=True)
g, = [x]
for i1 in range(12):
    x = torch.minimum(g, x)
hidden1 = x.clone()
hidden1.backward()
g1 = torch.autograd.grad(hidden1, x)
