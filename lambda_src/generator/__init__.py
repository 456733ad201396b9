"""Makes policies, documents and lists from the controls: see lambda_src/generate.py."""
