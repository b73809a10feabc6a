# Autograd keeps no record of views of inference tensors.
import torch
x = torch.ones(3)
x1 = x
if 1.0 > 1:
    pass
else:
    with torch.inference_mode():
        fast = x1.tanh()
    fast = fast.view_as(fast)
    fast.detach_()
