# A default that is computed is computed where the function is defined.
import torch
x1 = torch.tensor([2.0, 1.0], requires_grad=True)

def f(b=x1.sort(0).values):
    return b
x1.requires_grad_(False)
y = f()
z = y
