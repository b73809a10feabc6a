"""The engine: abstract interpretation of libcst trees. `program.follow` runs a file and hands its events to a sink.

Nothing is imported here: rules need `events` and `values` only, and libcst is loaded for files that pass the gate.
"""
