# A default is computed where the function is defined.
import torch
x = torch.full((3,), 0.5, requires_grad=True)
x1 = x
loss = x

def f(x=x1, b=torch.where(x > 0, loss, loss), c=1.0):
    pass
x.requires_grad = False

@False
def f1(b: torch.Tensor, x, y=f()):
    pass
