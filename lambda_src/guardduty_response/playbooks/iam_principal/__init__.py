"""Contains a stolen credential: an IAM user or a role session. Names the commands for a person
where IAM cannot contain the principal.
"""
