import torch
x = torch.full((3,), 0.5, requires_grad=True)
for t in [x.cpu()]:
    x.detach_()
