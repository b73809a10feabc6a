import torch

x = torch.ones(3)
items = [x]
items1 = [x for t in items if t.requires_grad]
