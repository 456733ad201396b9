"""The playbook for a compromised EC2 instance. playbook.py contains it.

The package evidence and the modules restore and terminate belong to other Lambda functions.
"""
