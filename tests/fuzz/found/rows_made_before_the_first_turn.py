# The rows that a loop goes through were made before its body changes the tensor.
import torch
total = torch.ones(3)
for i in total:
    total.requires_grad = True
