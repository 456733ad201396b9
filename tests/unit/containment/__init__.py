"""Tests of what guards and performs containment."""
