import torch

x = torch.ones(4, requires_grad=True)
loss = x.mean()
x.detach_()
torch.autograd.backward(loss)
