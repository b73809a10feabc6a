# The switch is on in inference mode, which builds no graph all the same.
import torch
with torch.inference_mode():
    torch.set_grad_enabled(True)
    if torch.is_grad_enabled():
        pass
