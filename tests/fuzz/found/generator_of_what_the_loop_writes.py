# A loop writes in place, by an attribute, to what the generator that it goes through yields next.
import collections
import torch
x = torch.ones(3)
Batch = collections.namedtuple('Batch', 'a b')
batch = Batch(a=x, b=x)

def produce(count):
    for i in x:
        yield x
for t in produce(2):
    batch.b.requires_grad_()
    while True:
        break
