"""The fuzzer: random programs on which torch and the engine must agree.

`author` writes a program, `oracle` runs it under torch, `analysis` lints it, `verdict` compares the two, `mend` repairs
what torch refused so that the rest runs too, `shrink` makes a disagreement small, and `campaign` does all of that for
many seeds. Nothing here imports torch at module level but `oracle` and `facts`.
"""
