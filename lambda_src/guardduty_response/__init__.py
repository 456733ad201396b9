"""Answers Amazon GuardDuty findings: contain, verify by reading back, keep evidence, tell people.

Standard library and botocore only: no third-party code runs with response privileges.
"""

__version__ = "0.1.0"
