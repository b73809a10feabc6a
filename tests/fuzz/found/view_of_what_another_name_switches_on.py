# a view says what its base says, whichever name that was switched on by
import torch
x = torch.ones(3)
box = x.expand(3)
fast = x.to(torch.float32)
fast.requires_grad_()
