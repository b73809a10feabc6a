import torch

x = torch.ones(3).requires_grad_()
loss = torch.ones(3)


def produce(count):
    for i in x:
        yield loss


for t in produce(2):
    loss = x
