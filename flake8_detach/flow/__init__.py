"""The engine: abstract interpretation of libcst trees."""
