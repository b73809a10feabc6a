# A reshaped tensor may be a view, and under no_grad a view requires grad if its base does.
import torch
x1 = torch.ones(4, 3, requires_grad=True)
torch.set_grad_enabled(False)
for t in x1.reshape((3, 4)):
    pass
