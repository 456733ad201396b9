"""What playbooks share to contain a resource and to undo it: contract, actions, restoration."""
