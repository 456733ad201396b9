"""What the documents say in figures is measured here: ``make bench``."""
