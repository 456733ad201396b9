"""Recognises the roles that the response's own functions assume."""

from __future__ import annotations

from guardduty_response.decision.configuration import Config


def own_roles(config: Config) -> frozenset[str]:
    """Returns the roles that the response's functions assume, and no other.

    Each is ``<account or *>:role/<path>/<name>``. A name that is not in use is not among them:
    anybody could take it.
    """
    return frozenset(config.responder["own_roles"])


def is_own(arn: object, own: frozenset[str], account: object = None) -> bool:
    """Tells whether ``arn`` is that of a role in ``own`` and, if given, of this ``account``."""
    fields = str(arn).split(":", 5)
    if len(fields) != 6 or fields[2] != "iam":
        return False
    role_account, role = fields[4], fields[5]
    known = not own.isdisjoint((f"*:{role}", f"{role_account}:{role}"))
    return known and account in (None, role_account)
