# what was made in inference mode is not detached in place
import torch
with torch.inference_mode():
    y2 = torch.full((2,), 0.5, requires_grad=True)
y2.detach_()
