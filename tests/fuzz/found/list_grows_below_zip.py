# zip takes what is in the list when its turn comes.
items = [1.0]
for t, k in zip(items, [2, 3]):
    items.append(t)
