"""Denies everything to an IAM user, by AWSDenyAll attached or as its permissions boundary."""

from __future__ import annotations

from functools import partial

from botocore.exceptions import ClientError

from guardduty_response.aws.conflicts import retry_on_conflict
from guardduty_response.aws.errors import error_code
from guardduty_response.containment.target_context import (
    ALREADY,
    DONE,
    FAILED,
    describe_error,
    result_or_raise,
    run_all,
)
from guardduty_response.errors import ResponseError
from guardduty_response.playbooks.iam_principal.principal_context import (
    list_all,
)
from guardduty_response.playbooks.iam_principal.records import AwsAnswer, DenyAllState
from guardduty_response.playbooks.iam_principal.user_action import UserAction


class DenyAll(UserAction):
    """The denial also ends what no key or password can: sessions from GetSessionToken and
    GetFederationToken live on after their key is deactivated, with the user's permissions of the
    moment (AWS IAM User Guide, "Disabling permissions for temporary credentials").
    """

    name = "deny_all"
    item = "deny_all"
    done_text = "everything is denied to the user"

    @property
    def manual_command(self) -> str:  # type: ignore[override]
        policy_arn = self.target_context.deny_all
        return f"iam attach-user-policy --user-name {{user}} --policy-arn {policy_arn}"

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

    def pending_change(self) -> str:
        if self._denies(self.current):
            return ""
        return f"everything denied to {self.user} by AWSDenyAll, its temporary credentials included"

    def deny_first(self) -> tuple[DenyAllState, AwsAnswer | Exception]:
        """Denies before anything is read: the plan has read the state before, which is recorded
        while AssumeRole is still under way.

        Returns the state before and IAM's answer, for ``log_outcome``. Raises the error of the
        record alone.
        """
        before: DenyAllState = self.target_context.scope("deny_all") or self._read_or_guess()
        self.target_context.record_before_state(self.item, before)
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
        policy_arn = self.target_context.deny_all
        attach = partial(self.iam.attach_user_policy, UserName=self.user, PolicyArn=policy_arn)
        try:
            return dict(retry_on_conflict(attach))
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
        put = partial(
            self.iam.put_user_permissions_boundary,
            UserName=self.user,
            PermissionsBoundary=self.target_context.deny_all,
        )
        answer = retry_on_conflict(put)
        replaced = f"instead of {old}" if old else "none before"
        how = f"as permissions boundary, its policy quota is full; {replaced}"
        return {**answer, "how": how}


def boundary(user: AwsAnswer) -> str | None:
    """Returns the ARN of the user's permissions boundary, None without one."""
    return (user.get("PermissionsBoundary") or {}).get("PermissionsBoundaryArn")
