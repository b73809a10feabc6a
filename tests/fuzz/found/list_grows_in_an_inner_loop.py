# A list that every iteration makes longer has no known length from the third one on.
import torch
x = torch.ones(3)
items = [1.0]
for t, k in zip((x, 3), [2, 3]):
    for i in x:
        items.append(1.0)
