"""The calls of the engine for coroutines; ``aimate._sync`` is made of it."""
