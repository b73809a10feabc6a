"""How findings are shown: for terminals, for CI systems, for machines."""
