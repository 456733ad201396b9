"""Model-based tests: random walks against the real functions, judged by a small reference model."""
