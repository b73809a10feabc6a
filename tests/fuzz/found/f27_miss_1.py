import numpy as np
import torch

x = torch.ones(3)
array = np.stack([x, torch.ones(3, requires_grad=True)])
