"""A script that keeps the server busy for as many µs as its argument says, and the generator not at all.

It looks at the clock, and does not count: a core of a shared host takes up to twice as long for the same
work, from one second to the next, and what is to be seen here is how commands wait for each other.
"""

__all__ = ["BUSY_SCRIPT"]

BUSY_SCRIPT = """
local function now_us() local time = redis.call('TIME'); return time[1] * 1e6 + time[2] end
local until_us = now_us() + tonumber(ARGV[1])
repeat until now_us() >= until_us
return 1
"""
