# Autograd does not see the first step of a product of an inference vector and a matrix.
import numpy as np
import torch
with torch.inference_mode():
    y1 = torch.ones(4, requires_grad=True)
array = np.asarray(y1 @ torch.full((4, 3), 0.5))
