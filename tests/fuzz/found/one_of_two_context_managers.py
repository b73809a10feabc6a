# A with statement enters one of two context managers of the file, not known which.
import contextlib
import random
import torch
rng = random.Random(7)

@contextlib.contextmanager
def first(scale):
    yield scale * 2

@contextlib.contextmanager
def second():
    yield torch.ones(3)

x = torch.ones(3, requires_grad=True)
for i in range(2):
    manager = first(x) if rng.random() < 0.5 else second()
    with manager as entered:
        y = entered * 3
    with first(y) if rng.random() < 0.5 else second() as again:
        z = again.sum() + x.sum()
    z.backward()
