import torch
x = torch.ones(3)
with torch.inference_mode():
    y1 = torch.autograd.Variable(x)
