"""A compromised EC2 instance: playbook.py contains it; collect, restore and terminate are other
functions' work.
"""
