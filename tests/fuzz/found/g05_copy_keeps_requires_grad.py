import copy
import torch
x = torch.ones(3)
x1 = 1.0
x.requires_grad_()
total = copy.copy(x * x)
total.mul_(2)
