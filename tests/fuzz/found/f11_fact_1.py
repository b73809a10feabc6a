import numpy as np
import torch

x = torch.ones(3)
array = np.sqrt(x)
