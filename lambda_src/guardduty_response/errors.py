"""Errors whose text is written for the person who reads the incident at 3 a.m."""

from __future__ import annotations


class ResponseError(Exception):
    """Base of every error this package raises on purpose."""


class NotAFinding(ResponseError):
    """The event is not a GuardDuty finding at all (another service, another detail-type)."""


class MalformedFinding(ResponseError):
    """A GuardDuty finding that lacks a field without which nothing can be decided."""


class NoTarget(ResponseError):
    """The finding names no resource that its playbook could act on."""


class TargetGone(ResponseError):
    """The resource no longer exists (terminated, deleted): there is nothing left to contain."""


class ConfigError(ResponseError):
    """The configuration document is missing, unreadable or not the one Terraform wrote."""


class IllegalTransition(ResponseError):
    """An event that the incident's present status does not allow."""


class RoleUnavailable(ResponseError):
    """The responder role of the finding's account could not be assumed."""


class SessionPolicyTooLarge(RoleUnavailable):
    """AWS STS does not take the session policy: it is too large as AWS packs it."""


class GateClosed(ResponseError):
    """Nothing may be changed now: a pause, an exemption, the policy of now, or somebody else."""


class TransientError(ResponseError):
    """Throttling or an outage: the state machine repeats the verb with jittered backoff (its
    Retry names this class).
    """
