"""Denies everything to an IAM user, by AWSDenyAll attached or as its permissions boundary."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, cast

from botocore.exceptions import ClientError

from guardduty_response.aws.errors import error_code
from guardduty_response.containment.aws_call import AwsCall
from guardduty_response.containment.control import Grant
from guardduty_response.containment.planned_state import fresh_state
from guardduty_response.containment.target_context import (
    ALREADY,
    DONE,
    FAILED,
    describe_error,
    result_or_raise,
    run_all,
)
from guardduty_response.errors import ResponseError
from guardduty_response.playbooks.iam_principal.principal_context import list_all
from guardduty_response.playbooks.iam_principal.user_action import USERS, UserControl

if TYPE_CHECKING:
    from guardduty_response.aws.api import AwsAnswer
    from guardduty_response.containment.control import Values
    from guardduty_response.playbooks.iam_principal.records import DenyAllState

POLICY = "arn:${partition}:iam::aws:policy/AWSDenyAll"  # as the policies of playbooks/ name it


Denial = bool | str | None  # whether AWSDenyAll is attached, or the ARN of a boundary


class DenyAll(UserControl["DenyAllState", Denial]):
    """The denial also ends what no key or password can: sessions from GetSessionToken and
    GetFederationToken live on after their key is deactivated, with the user's permissions of the
    moment (AWS IAM User Guide, "Disabling permissions for temporary credentials").

    Its values: whether AWSDenyAll is ``attached``, and the user's permissions ``boundary``.
    """

    name = "deny_all"
    item = "deny_all"
    critical = True
    done_text = "everything is denied to the user"
    placeholder = "attached"
    reads = (Grant(("iam:GetUser", "iam:ListAttachedUserPolicies"), USERS),)
    contains = (
        Grant(("iam:AttachUserPolicy",), USERS, {"ArnEquals": {"iam:PolicyARN": POLICY}}),
        Grant(
            ("iam:PutUserPermissionsBoundary",),
            USERS,
            {"ArnEquals": {"iam:PermissionsBoundary": POLICY}},
        ),
    )
    restores = (
        Grant(("iam:DetachUserPolicy",), USERS, {"ArnEquals": {"iam:PolicyARN": POLICY}}),
        Grant(("iam:DeleteUserPermissionsBoundary", "iam:PutUserPermissionsBoundary"), USERS),
    )
    undone_by = (
        "DetachUserPolicy",
        "DeleteUserPermissionsBoundary",
        "PutUserPermissionsBoundary",
    )

    def read(self) -> DenyAllState:
        list_policies = partial(
            list_all, self.iam.list_attached_user_policies, "AttachedPolicies", UserName=self.user
        )
        answers = run_all(
            {"policies": list_policies, "user": partial(self.iam.get_user, UserName=self.user)}
        )
        user = result_or_raise(answers["user"])["User"]
        attached = [policy["PolicyArn"] for policy in result_or_raise(answers["policies"])]
        return {
            "attached": self.target_context.deny_all in attached,
            "boundary": boundary(user),
            "id": user["UserId"],
        }

    def values(self, stored: DenyAllState | None) -> Values[Denial]:
        known = cast("Values[Denial]", stored or {})
        return {name: known[name] for name in ("attached", "boundary") if name in known}

    @property
    def recorded(self) -> Values[Denial] | None:
        """The boundary is the one that AWSDenyAll replaced, which may be newer than the plan."""
        replaced = self.target_context.before_state("boundary") or {}
        recorded = super().recorded
        return None if recorded is None else {**recorded, **replaced}

    def wanted(self, name: str, value: Denial) -> Denial:
        """The boundary stays, unless the quota of attached policies is full (``_attach``)."""
        return True if name == "attached" else value

    @property
    def pending(self) -> Values[Denial]:
        return {} if self._denies(self._state) else {"attached": True}

    @property
    def _state(self) -> DenyAllState:
        return self.current or {}

    def contained_text(self, pending: Values[Denial]) -> str:
        return f"everything denied to {self.user} by AWSDenyAll, its temporary credentials included"

    def call(self, name: str, value: Denial) -> AwsCall:
        user = {"UserName": self.user}
        if name == "attached":
            operation = "attach_user_policy" if value else "detach_user_policy"
            return AwsCall("iam", operation, {**user, "PolicyArn": self.target_context.deny_all})
        if not value:
            return AwsCall("iam", "delete_user_permissions_boundary", user)
        boundary = {"PermissionsBoundary": value}
        return AwsCall("iam", "put_user_permissions_boundary", {**user, **boundary})

    def write(self, name: str, value: Denial) -> AwsAnswer:
        if name == "attached" and value:
            return self._attach(self._state)
        return super().write(name, value)

    def left(self, name: str, before: Denial, now: Denial) -> bool:
        return bool(now) if name == "attached" else now == self.target_context.deny_all

    def state_text(self, name: str, value: Denial) -> str:
        if name == "attached":
            return f"AWSDenyAll is {'attached' if value else 'not attached'} to {self.user}"
        return f"the permissions boundary of {self.user} is {value or 'none'}"

    def restored_text(self, name: str, before: Denial) -> str:
        if name == "attached":
            return f"AWSDenyAll detached from {self.user}"
        boundary = f"permissions boundary of {self.user}"
        return f"{boundary} {before} again" if before else f"{boundary} taken away"

    def deny_first(self) -> tuple[DenyAllState, AwsAnswer | Exception]:
        """Denies before anything is read: what the plan has read of all controls is recorded
        while AssumeRole is still under way.

        Returns the prior state and IAM's answer, for ``log_outcome``. Raises the error of the
        record alone.
        """
        states = fresh_state(self.target_context)
        if self.item not in states:
            states = {self.item: self._read_or_guess()}
        self.target_context.record_before_states(states)
        before: DenyAllState = states[self.item]
        try:
            return before, self._attach(before)
        except Exception as error:
            return before, error

    def log_outcome(self, before: DenyAllState, answer: AwsAnswer | Exception) -> None:
        """Writes the line of the action log, as ``run`` does."""
        if isinstance(answer, Exception):
            detail = f"failed ({describe_error(answer)}). {self.manual_text()}"
            self.target_context.log_action(self.name, FAILED, detail)
        elif self._denies(before):
            self.target_context.log_action(self.name, ALREADY, self.done_text, [answer])
        else:
            how = answer.pop("how", "attached")
            detail = f"everything denied to {self.user} by AWSDenyAll ({how})"
            self.target_context.log_action(self.name, DONE, detail, [answer])

    def _denies(self, state: DenyAllState) -> bool:
        if state.get("attached"):
            return True
        return state.get("boundary") == self.target_context.deny_all

    def _read_or_guess(self) -> DenyAllState:
        """A user that cannot be read is denied all the same."""
        try:
            return self.read()
        except Exception as error:
            return {"attached": False, "boundary": None, "unread": describe_error(error)}

    def _attach(self, before: DenyAllState) -> AwsAnswer:
        try:
            return super().write("attached", True)
        except ClientError as error:
            if error_code(error) != "LimitExceeded":
                raise
            if before.get("unread"):
                raise ResponseError(
                    "its quota of policies is full, and its permissions boundary could not be read"
                    f" ({before['unread']}): replaced, nobody could put it back"
                ) from error
        return self._put_boundary()

    def _put_boundary(self) -> AwsAnswer:
        """The quota of attached policies is full (10, or what the account was given).

        The plan may be an hour old (approval), and a boundary set since then is to come back: it
        is read again.
        """
        old = boundary(self.iam.get_user(UserName=self.user)["User"])
        self.target_context.record_before_state("boundary", {"boundary": old})
        answer = self.write("boundary", self.target_context.deny_all)
        replaced = f"instead of {old}" if old else "none before"
        how = f"as permissions boundary, its policy quota is full; {replaced}"
        return {**answer, "how": how}


def boundary(user: AwsAnswer) -> str | None:
    """Returns the ARN of the user's permissions boundary, None without one."""
    return (user.get("PermissionsBoundary") or {}).get("PermissionsBoundaryArn")
