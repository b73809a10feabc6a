import torch

x = torch.randn(3, requires_grad=True)
x.share_memory_()
