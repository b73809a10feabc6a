import math

import torch
from torch import nn

table = nn.Embedding(10, 8)
norm = nn.LayerNorm(8)
query, key = nn.Linear(8, 8, bias=False), nn.Linear(8, 8, bias=False)
tokens = torch.tensor([[1, 2, 3]])
embedded = norm(table(tokens))
scores = torch.bmm(query(embedded), key(embedded).transpose(1, 2)) / math.sqrt(8)
weights = torch.softmax(scores, dim=-1)
out = torch.bmm(weights, embedded).sum()  # draw: out
