"""Contains a stolen credential: an IAM user or a role session; says what IAM cannot do of
everybody else.
"""
