"""More finding types make no more resources: a playbook is deployed once, however many types it
answers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks.planning import CASES, MORE_RESOURCES

if TYPE_CHECKING:
    from tests.support.one_account import OneAccountPlanner
    from tests.support.terraform_tools import Plan

pytestmark = pytest.mark.terraform


def _ours(planned: Plan) -> set[str]:
    return {address for address in planned.resources if address.startswith("module.security.")}


def test_one_type_or_all_of_a_playbook(plan: OneAccountPlanner) -> None:
    cases = [CASES[name] for name in ("one type", "all types of its playbook")]
    plan.prepare(*cases)
    single, every = (_ours(plan(**case)) for case in cases)
    assert len(CASES["all types of its playbook"]["remediations"]) > 40
    assert len(single) > 40
    assert single <= every
    assert len(every - single) <= MORE_RESOURCES, sorted(every - single)


@pytest.mark.proof
def test_two_hundred_accounts_with_exceptions(plan: OneAccountPlanner) -> None:
    single, many = (plan(**CASES[case]) for case in ("one account", "200 accounts"))
    assert _ours(single) == _ours(many)
    assert len(many.policy["CryptoCurrency:EC2/BitcoinTool.B"]["accounts"]) == 200
