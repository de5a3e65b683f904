"""A script that costs the server what its argument says, and the generator nothing."""

__all__ = ["LOOP_SCRIPT"]

LOOP_SCRIPT = "local n = 0; for i = 1, tonumber(ARGV[1]) do n = n + i end; return n"
