import torch
x = torch.randn(())
x1 = x
y2 = x
items = [y2.expand(3)]
y4 = x1
if y4.dim():
    pass
else:
    y2.requires_grad_()
