import numpy as np
import torch

array = np.concatenate([torch.ones(3), torch.ones(3, requires_grad=True)])
