"""The measuring of benchmarks/, without its figures."""
