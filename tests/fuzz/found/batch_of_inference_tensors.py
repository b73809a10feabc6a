# A batch is put together anew.
import torch
x1 = torch.ones(3)
with torch.inference_mode():
    fast = torch.ones(3)
data = torch.utils.data.TensorDataset(fast, x1)
for xs, ys in torch.utils.data.DataLoader(data):
    pass
