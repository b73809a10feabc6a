from torch import nn
x1 = nn.Parameter()
hidden = x1 * 2
hidden.sum().backward()
hidden.sum().backward()
