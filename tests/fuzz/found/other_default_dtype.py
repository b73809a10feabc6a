# torch makes what the default dtype says.
import torch
torch.set_default_dtype(torch.float64)
x = torch.ones(3)
y = x.double()
torch.set_default_dtype(torch.float32)
y.requires_grad_()
