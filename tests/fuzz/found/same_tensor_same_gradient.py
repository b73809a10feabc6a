# What may be the same tensor may have its gradient.
import torch
x = torch.ones(3).requires_grad_()
x.sum().backward()
x.requires_grad = False
fast = x.to('cpu')
