"""Whether containment still holds: which incidents are rechecked, when, and what a recheck says."""
