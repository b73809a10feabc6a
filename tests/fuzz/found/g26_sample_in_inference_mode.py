import torch
with torch.inference_mode():
    normal = torch.distributions.Normal(1.0, 1.0)
    y2 = normal.sample()
