"""Facts about torch and its surroundings as data, apart from the engine."""
