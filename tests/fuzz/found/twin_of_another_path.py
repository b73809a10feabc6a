# A tensor may be one that was made on another path only.
import torch
x1 = torch.ones()
with torch.inference_mode():
    fast = x1 % 2
if fast:
    try:
        pass
    except RuntimeError:
        pass
    else:
        fast = x1
else:
    fast.exp_()
