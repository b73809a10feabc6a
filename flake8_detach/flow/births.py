"""Which leaves are the same one, in another run of the code that makes it.

A file that compares two configurations makes its model twice, and in one of them a parameter may train nothing, as was
wanted. What is said of a leaf "in the whole file" is said of all those that the same place in the text has made.
"""

from __future__ import annotations

from collections.abc import Iterable

import libcst as cst

Birth = tuple[int, int]
"""The library call in the text that made a leaf, and the how many-eth it was of those that it made in the same calls of
functions: a list of layers is made by one call, and its elements are not the same one."""


class Births:
    """The birthplace of each leaf, noted when it is made. maker: the library call that is running."""

    def __init__(self) -> None:
        self.maker: cst.CSTNode | None = None
        self._births: dict[int, Birth] = {}
        self._made: dict[tuple[int, int], int] = {}

    def born(self, address: int, path: int) -> None:
        """A leaf was made at `address`; path: the calls that led there."""
        if self.maker is not None:
            run = id(self.maker), path
            self._made[run] = self._made.get(run, -1) + 1
            self._births[address] = run[0], self._made[run]

    def of(self, addresses: Iterable[int]) -> set[Birth]:
        """The birthplaces of these leaves, as far as they are known."""
        return {self._births[a] for a in addresses if a in self._births}
