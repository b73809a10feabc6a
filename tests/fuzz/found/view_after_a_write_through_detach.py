# Memory is written through `detach()`: a view of it gets a new grad_fn, and its old one is not come by.
import torch
x = torch.randn((), requires_grad=True)
mid = x.view_as(x)
end = torch.special.expit(mid)
mid.detach().add_(1)
end.backward()
g, = torch.autograd.grad([end * mid], (mid,))
