# open: nn.LSTM, SqueezeBackward0/1/2
import torch
from torch import nn

lstm = nn.LSTM(3, 5, batch_first=True)
head = nn.Linear(5, 1)
outputs, (hidden, cell) = lstm(torch.randn(2, 4, 3))
score = head(hidden.squeeze(0)).sum()  # draw: score
