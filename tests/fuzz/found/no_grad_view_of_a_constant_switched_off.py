# A view made under no_grad of what does not require grad: switched on, and off again.
import torch
x2 = torch.ones(3)
torch.set_grad_enabled(False)

def change():
    global y
    y = x2.expand(3)
change()
y.requires_grad_()
y.requires_grad = False
