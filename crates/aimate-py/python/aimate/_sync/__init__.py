# Made by tools/make_sync.py out of aimate/_async; change that instead.
"""The calls of the engine for blocking callers."""
