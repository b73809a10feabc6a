# A handler that runs in a later iteration only.
import torch
x = torch.zeros(3, requires_grad=True)
x1 = torch.randn(())
left, right = torch.matmul(x, torch.zeros(3, 4)).split(2)
for i in x:
    for i1 in x:
        try:
            mid = left
            end = mid
            end.sum().backward()
        except RuntimeError:
            x1.backward()
        x1.requires_grad_()
