# A gradient that is set may be that of what meets it.
import time
import torch
x = torch.ones(3)
y = y1 = x.data
if time.time():
    y2 = y1
else:
    y2 = x
y1.grad = x
