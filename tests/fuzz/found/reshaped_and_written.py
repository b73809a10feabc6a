# What is reshaped may be a view: its base may be written with it.
import torch
x = torch.ones(3)
w = torch.ones(3, requires_grad=True)
y = x.reshape(3, 1)
y += w.view(3, 1)
z = x
