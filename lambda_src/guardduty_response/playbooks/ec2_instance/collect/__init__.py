"""Evidence of a contained instance."""
