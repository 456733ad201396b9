"""Sessions whose policies AWS STS refuses for their size are split, whoever uses them."""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from types import SimpleNamespace
from typing import Any

import pytest
from guardduty_response.containment.contract import Target
from guardduty_response.containment.target_context import Sessions, TargetContext
from guardduty_response.errors import RoleUnavailable, SessionPolicyTooLarge

Json = dict[str, Any]
ARNS = [f"arn:aws:ec2:eu-west-1:222222222222:network-interface/eni-{n}" for n in range(5)]
GRANTS: dict[str, tuple[str, ...]] = dict.fromkeys(ARNS, ("ec2:ModifyNetworkInterfaceAttribute",))


class Answer:
    """A session that AWS STS refuses where its policy names more than ``most`` ARNs."""

    def __init__(self, policy: Json, error: Exception | None) -> None:
        self.error = error
        self.arns = set(policy["Statement"][-1]["Resource"])

    def too_large(self) -> bool:
        time.sleep(0.01)
        return isinstance(self.error, SessionPolicyTooLarge)

    def client(self, service: str, region: str = "") -> Any:
        def act(arn: str) -> frozenset[str]:
            if self.error:
                raise self.error
            assert arn in self.arns
            return frozenset(self.arns)

        return SimpleNamespace(act=act, meta=SimpleNamespace(region_name="eu-west-1"))


class Account:
    """Opens sessions; ``asked`` has the ARNs of each."""

    def __init__(self, most: int, error: Exception | None = None) -> None:
        self.most, self.error = most, error
        self.asked: list[frozenset[str]] = []
        self.lock = Lock()

    def assume(self, account: str, region: str, policy: Json) -> Answer:
        answer = Answer(policy, self.error)
        if len(answer.arns) > self.most:
            answer.error = SessionPolicyTooLarge("too large")
        with self.lock:
            self.asked.append(frozenset(answer.arns))
        return answer

    def sessions(self) -> Sessions:
        context: Any = SimpleNamespace(
            assume=self.assume,
            options={},
            config=SimpleNamespace(name_prefix="p"),
        )
        target = Target(
            "ec2_instance",
            "i-1",
            "arn:aws:ec2:eu-west-1:222222222222:instance/i-1",
            "222222222222",
            "eu-west-1",
        )
        return Sessions(
            TargetContext(context, target),
            [],
            GRANTS,
        )


@pytest.mark.parametrize(("most", "asked"), [(5, 1), (4, 3), (2, 5), (1, 9)])
def test_each_policy_is_asked_about_once_whichever_thread_needs_it(most: int, asked: int) -> None:
    account = Account(most)
    sessions = account.sessions()
    clients = {arn: sessions.client("ec2", arn) for arn in ARNS}
    assert len(account.asked) == 1, "nothing is asked before a call needs it"
    with ThreadPoolExecutor(40) as pool:
        used = list(pool.map(lambda arn: clients[arn].act(arn), ARNS * 20))
    assert all(len(arns) <= most for arns in used)
    assert Counter(account.asked).most_common(1)[0][1] == 1
    assert len(account.asked) == asked
    assert frozenset().union(*used) == set(ARNS)
    assert all(arns < set(ARNS) for arns in account.asked[1:])


def test_a_client_that_is_asked_for_later_knows_the_halves() -> None:
    account = Account(1)
    sessions = account.sessions()
    sessions.client("ec2", ARNS[0]).act(ARNS[0])
    known = len(account.asked)
    assert sessions.client("ec2", ARNS[0]).act(ARNS[0]) == {ARNS[0]}
    assert len(account.asked) == known
    assert sessions.client(
        "ec2",
        "other",
        ("ec2:Other",),
    ).act("other") == {"other"}
    assert account.asked[-1] == {"other"}


def test_only_the_refusal_for_its_size_splits_a_session() -> None:
    account = Account(5, RoleUnavailable("no such role"))
    client = account.sessions().client("ec2", ARNS[0])
    for _ in range(2):
        with pytest.raises(RoleUnavailable, match="no such role"):
            client.act(ARNS[0])
    assert len(account.asked) == 1


def test_one_arn_is_not_split() -> None:
    account = Account(0)
    sessions = account.sessions()
    with pytest.raises(SessionPolicyTooLarge):
        sessions.client("ec2", ARNS[4]).act(ARNS[4])
    assert account.asked[-2:] == [{ARNS[3]}, {ARNS[4]}]


def test_what_is_no_call_asks_nothing() -> None:
    account = Account(1)
    assert account.sessions().client("ec2", ARNS[0]).meta.region_name == "eu-west-1"
    assert len(account.asked) == 1
