import torch

x2 = torch.rand(3, requires_grad=True)
with torch.inference_mode():
    x2.backward(gradient=x2)
