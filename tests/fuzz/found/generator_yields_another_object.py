# A generator yields another object after the body wrote to the last one.
import torch
x = torch.randn((), requires_grad=True)

def produce(count):
    for i in range(count):
        yield x.nanmean()
for t in produce(2):
    x.backward()
    if None:
        break
    y1 = y2 = t
    y2.detach_()
