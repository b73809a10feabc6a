# a loop is run on until what its second turn has changed is the same
import torch
x = torch.rand(3, requires_grad=True)
for k, t in enumerate((x, x)):
    total = torch.randn(3, requires_grad=True)
    for i in x:
        total.backward(x)
        total = x
