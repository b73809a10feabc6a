# What may be the same tensor may have got its gradient.
import torch
x = torch.ones(3)
fast = x.to(torch.float32)
fast.requires_grad_()
end = x
end.sum().backward()
