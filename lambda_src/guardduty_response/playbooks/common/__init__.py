"""What playbooks share: a target's ledger and sessions, actions, evidence in pieces, and undoing
by the record.
"""
