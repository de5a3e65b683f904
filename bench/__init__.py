"""The benchmarks: what the toolkit claims about itself, measured side by side on this machine."""
