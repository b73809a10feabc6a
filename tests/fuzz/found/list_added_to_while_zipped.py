# A list grows with `+=` as it does with append.
first, *rest = [1.0, 1.0]
for t, k in zip(rest, [2, 3]):
    rest += [1.0]
