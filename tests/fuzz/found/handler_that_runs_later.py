# A handler that runs in a later iteration only.
import torch
w = torch.ones(3, requires_grad=True)
loss = (w * w).sum()
x1 = torch.randn(())
for i in range(3):
    try:
        loss.backward()
    except RuntimeError:
        x1.backward()
    x1.requires_grad_()
loss = None
