"""Contains a person who signed in through IAM Identity Center, in the account that administers
it.
"""
