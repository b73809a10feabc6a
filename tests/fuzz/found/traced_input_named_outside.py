# the tracer knows its inputs by what they are: one that the function names from outside is no constant of the record
import torch
x = torch.ones(2, requires_grad=True)
def f(y):
    return (x + 1.0).sum()
traced = torch.jit.trace(f, (x,), check_trace=False)
traced(x).backward()
total = x.grad.sum()
