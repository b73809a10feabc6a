# A view of an inference tensor has no graph.
import torch
x = torch.eye(3)
with torch.inference_mode():
    y1 = torch.ones_like(x, requires_grad=True)
y1 = y1.mT
