# copy.copy in inference mode makes an inference tensor.
import copy
import torch
x = torch.arange(3.0, requires_grad=True)
y = sum(x)
with torch.inference_mode():
    d = copy.copy(y)
