# A view asks the base that was written for its grad_fn.
import torch
x = torch.ones(3)
pair = (x.view_as(x),)
y = y1 = x
y.square_()
x.requires_grad_()
