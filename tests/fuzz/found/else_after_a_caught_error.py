# Where torch raises in a `try`, its `else` does not run.
import torch
x = torch.rand((), requires_grad=True)
for i in range(3):
    try:
        x *= x
    except RuntimeError:
        x = x.var()
    else:
        x.add_(1)
