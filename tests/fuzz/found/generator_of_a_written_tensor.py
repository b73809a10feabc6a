# A generator reads a tensor that is written between its turns.
import torch
x = torch.full((3,), 0.5, requires_grad=True)

def produce(count):
    for i in x:
        yield [x * x]
for t in produce(2):
    x.requires_grad_(False)
