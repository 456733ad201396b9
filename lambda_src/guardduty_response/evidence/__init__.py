"""What playbooks share to keep evidence: the store, items collected side by side, the manifest."""
