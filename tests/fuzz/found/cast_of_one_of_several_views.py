# So may be what casts one of several views.
import torch
w = torch.ones(3, requires_grad=True)
y = w.unbind()[0].double()
y.add_(1)
