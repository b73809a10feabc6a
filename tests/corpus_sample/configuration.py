"""Nothing but configuration: the gate has nothing to look at."""

from dataclasses import dataclass, field

NAMES = ("small", "base", "large")


@dataclass
class Config:
    width: int = 128
    depth: int = 4
    names: list[str] = field(default_factory=lambda: list(NAMES))

    def scaled(self, factor: int) -> "Config":
        return Config(self.width * factor, self.depth)


def load(path):
    with open(path, encoding="utf-8") as stream:
        return Config(*map(int, stream.read().split()))
