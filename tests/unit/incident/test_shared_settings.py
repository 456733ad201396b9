"""Settings that many containments write: one step at a time, and the last restore gives it back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from guardduty_response.incident import shared_settings
from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.incident.shared_settings import Held, SettingBusy
from guardduty_response.incident.statuses import Status

from tests.unit.deployment import Deployment
from tests.unit.function_calls import target

ROLE, SETTING = "arn:aws:iam::222222222222:role/app", "tags"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_settings, "PAUSE_SECONDS", 0.01)


@pytest.fixture
def held(record: IncidentRepository) -> Iterator[Held]:
    with record.shared.hold(
        ROLE,
        SETTING,
        "tests",
    ) as mine:
        yield mine


def contained(record: IncidentRepository, name: str) -> tuple[str, int]:
    """Opens a containment of an instance, and returns its place."""
    arn = str(target(name)["arn"])
    joined = record.containments.join(
        target(name),
        f"inc-{name}",
        "ec2_instance",
    )
    return arn, joined.generation


def test_nobody_else_reads_or_writes_it_meanwhile(record: IncidentRepository) -> None:
    policy: list[str] = []

    def add(name: str) -> None:
        with record.shared.hold(ROLE, SETTING, name):
            read = list(policy)
            time.sleep(0.02)  # somebody else would write now
            policy[:] = [*read, name]

    names = [f"writer-{number}" for number in range(4)]
    with ThreadPoolExecutor() as pool:
        list(pool.map(add, names))
    assert sorted(policy) == names


def test_another_setting_and_another_resource_are_not_waited_for(
    record: IncidentRepository, held: Held
) -> None:
    with (
        record.shared.hold(ROLE, "policies", "b"),
        record.shared.hold(
            f"{ROLE}2",
            SETTING,
            "c",
        ),
    ):
        pass


def test_a_holder_who_never_ends_is_named(
    record: IncidentRepository, held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_settings, "WAIT_SECONDS", 0.05)
    with (
        pytest.raises(SettingBusy, match=f"{SETTING} of {ROLE} is being written by tests"),
        record.shared.hold(ROLE, SETTING, "b"),
    ):
        raise AssertionError("held by two")


def test_a_function_that_died_is_waited_for_no_longer_than_it_may_run(
    record: IncidentRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    record.leases.acquire(
        f"{ROLE}#{SETTING}",
        "dead",
        "dead",
        shared_settings.HOLD_SECONDS,
    )
    later = time.time() + shared_settings.HOLD_SECONDS + 2
    monkeypatch.setattr(time, "time", lambda: later)
    with record.shared.hold(ROLE, SETTING, "b"):
        pass


def test_it_is_free_after_an_error(record: IncidentRepository) -> None:
    with (
        pytest.raises(ZeroDivisionError),
        record.shared.hold(
            ROLE,
            SETTING,
            "a",
        ),
    ):
        raise ZeroDivisionError
    with record.shared.hold(ROLE, SETTING, "b"):
        pass


def test_an_old_view_of_what_was_written_last_is_not_built_on(
    record: IncidentRepository,
) -> None:
    views = iter(["before", "before", "first"])
    with record.shared.hold(
        ROLE,
        SETTING,
        "a",
    ) as mine:
        mine.written("first")
    with record.shared.hold(
        ROLE,
        SETTING,
        "b",
    ) as mine:
        assert mine.latest(lambda: next(views)) == "first"


def test_what_somebody_else_wrote_since_is_believed_in_the_end(
    record: IncidentRepository, held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    held.written("ours")
    later = time.time() + shared_settings.SPREAD_SECONDS + 1
    monkeypatch.setattr(time, "time", lambda: later)
    assert held.latest(lambda: "theirs") == "theirs"


def test_the_value_before_the_first_containment_stands_until_the_last_has_ended(
    record: IncidentRepository, held: Held
) -> None:
    first, second, third = (contained(record, name) for name in ("i-1", "i-2", "i-3"))
    held.enter(first, "made by i-1", "nobody's")
    held.enter(second, "made by i-2", "made by i-1")
    held.enter(second, "made by i-2", "made by i-2")  # a repeated step
    shared = record.shared.read(ROLE, SETTING)
    assert shared.before == "nobody's"
    assert shared.others(second) == {first: "made by i-1"}
    record.containments.set(*first, status=Status.RESTORED)
    shared = record.shared.read(ROLE, SETTING)
    assert (shared.others(second), shared.before) == ({}, "nobody's")
    record.containments.set(*second, status=Status.RESTORED)
    held.enter(third, "made by i-3", "somebody's")
    shared = record.shared.read(ROLE, SETTING)
    assert shared.before == "somebody's", "the ones before have all ended"
    assert set(shared.known) == {third}, "and are forgotten"


def test_an_older_generation_of_a_resource_needs_nothing(
    record: IncidentRepository, held: Held
) -> None:
    old = contained(record, "i-1")
    held.enter(old, "old", "nobody's")
    record.containments.set(*old, status=Status.RESTORED)
    new = contained(record, "i-1")
    assert new != old
    assert record.shared.read(ROLE, SETTING).entries == {}
    held.enter(new, "new", "somebody's")
    assert record.shared.read(ROLE, SETTING).entries == {new: "new"}


def test_everything_is_under_a_key_that_functions_may_delete(
    record: IncidentRepository, held: Held, deployment: Deployment
) -> None:
    """The functions' policies allow DeleteItem for ``RESOURCE#*`` alone."""
    held.enter(
        contained(record, "i-1"),
        "made",
        "before",
    )
    held.written("made")
    kinds = {stored["sk"].partition("#")[0] for stored in deployment.items(f"RESOURCE#{ROLE}#tags")}
    assert kinds == {"LEASE", "ENTRY", "BEFORE", "WRITTEN"}
