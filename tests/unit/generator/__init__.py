"""What is generated from the controls."""
