# retain_grad reaches a tensor by another name, two meetings of paths away.
import torch
x = torch.randn(3, requires_grad=True)
if x.max():
    try:
        x = x.abs()
        y1 = x
    except (TypeError,) as error:
        pass
x.retain_grad()
