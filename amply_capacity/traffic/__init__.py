"""What Amply does to Redis, written once and without I/O: generators that yield commands and receive replies.

A driver (Locust, the eviction simulator, a test) plays an `Operation` against whatever it has: a server, a
model, a list. This package imports nothing of ours, opens nothing, and raises only ValueError.
"""
