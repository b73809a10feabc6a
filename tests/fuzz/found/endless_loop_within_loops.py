# An endless loop that counts its turns, within loops that are not followed to their end.
import torch
x = torch.ones(3)
x1 = x

def f(a: torch.Tensor):
    for t, k in zip(x1, [1]):
        step = 0
        while True:
            step += 1
            if step >= 3:
                break
    hidden = 1.0
data = x
for xs, ys in torch.utils.data.DataLoader(data, batch_size=2):
    for i in x:
        y3 = f(x)
