"""One package for each playbook (containment/contract.py says what a playbook offers)."""
