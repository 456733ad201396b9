"""One finding and what became of it: its record, its statuses, what people are told."""
