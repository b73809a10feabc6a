# numpy.sqrt of what may be a tensor may be a tensor.
import numpy as np
import torch
y = torch.ones(())
a = np.sqrt(y)
y3 = torch.ones(3)
b = np.sqrt(y3)
n = torch.distributions.Normal(1.0, 1.0)
m = n.mean
l = n.loc
c = np.sqrt(m)
