"""Controls: each is one reversible setting of one resource, declared once.

A control says how its values are read, which value containment wants of each, and how one is
written. What plan, contain, verify and restore do follows from that here; so do the calls that undo
it, the policies of roles and sessions, and the runbook's commands (docs/decisions/0035).

The sentences are participles ("detached from ..."), because the same sentence is shown while the
change is PLANNED and logged when it is DONE.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from copy import copy
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Generic, NamedTuple, Protocol, Self, TypeVar, cast

from guardduty_response.aws.conflicts import retry_on_conflict
from guardduty_response.containment.contract import NOTHING, Check
from guardduty_response.containment.target_context import (
    ALREADY,
    DONE,
    FAILED,
    PLANNED,
    SKIPPED,
    Sessions,
    TargetContext,
    allow,
    describe_error,
)
from guardduty_response.incident.shared_settings import Held, SettingBusy

if TYPE_CHECKING:
    from guardduty_response.aws.api import AwsAnswer, AwsClient, PolicyStatement
    from guardduty_response.containment.aws_call import AwsCall
    from guardduty_response.containment.target_context import Settings


class ResourceState(Protocol):
    """What was read of a target: its settings by item, and why an item could not be read."""

    settings: Settings
    read_errors: dict[str, str]


ContextType = TypeVar("ContextType", bound=TargetContext)
StateType = TypeVar("StateType", bound=ResourceState)
SettingType = TypeVar("SettingType")  # a setting as ``read`` returns it, and as it is recorded
ValueType = TypeVar("ValueType")  # one value of it; with None where that says: no such thing
# What names a value (an access key's ID, a tag's key) -> the value.
Values = Mapping[str, ValueType]
# of an IAM statement: operator -> key -> value or values
Condition = Mapping[str, Mapping[str, str | list[str]]]


class Grant(NamedTuple):
    """Allows IAM actions on resources, in a role's policy and in the sessions of the role.

    ``on``: the resources as the policies in playbooks/ write them, with their placeholders.
    ``condition``: of the role's policy alone; a session of the role cannot do more than the role.
    ``option``: the switch without which the role's policy does not have it.
    """

    actions: tuple[str, ...]
    on: str | tuple[str, ...]
    condition: Condition = NOTHING
    option: str = ""


class Control(Generic[ContextType, StateType, SettingType, ValueType]):
    """One setting of a target, which may have many values.

    ``option``: the option that switches it on. ``item``: its key among the settings and in the
    state before. ``done_text``, ``absent_text``: what is true when nothing is left to change,
    because it is as wanted or because there is no such thing. ``title``: names a value for people,
    with ``{name}``; ``contained_as``, ``restored_as``: say what is done, with ``{things}``, and
    ``{thing}`` and ``{before}``; ``placeholder`` stands for the name in commands where no value is
    known. ``critical``: without it the resource is not contained (FAILED rather than PARTIAL).
    ``minor``: undone later, it leaves the resource contained: it is done again, people are told.
    ``passing_errors``: codes of errors of its calls that pass by themselves. ``undone_by``: the
    CloudTrail events of calls that can undo it. ``reads``, ``contains``,
    ``restores``: what its calls need; ``finds``: what reading needs beside ``reads`` where nothing
    is recorded yet, which restore does without. ``label``: True for a setting that contains
    nothing, and is not verified. ``check_name``: what the names of its checks begin with, where
    there is one for each value. ``later_stays``: why what came after the first containment is not
    restored (empty: it is), and ``later_value`` what a person would give it.
    """

    if not TYPE_CHECKING:

        def __class_getitem__(cls, types: object) -> type:
            """Returns the class itself: types are for the type checker, and cost no start time."""
            return cls

    held: Held | None = None  # ``shared_setting``, while ``run`` holds it
    name = option = item = done_text = absent_text = ""
    critical: ClassVar[bool] = False
    minor: ClassVar[bool] = False
    label: ClassVar[bool] = False
    service: ClassVar[str] = "iam"
    title = placeholder = later_stays = check_name = contained_as = ""
    restored_as = "{thing} {before} again"
    later_value: ValueType  # where there is ``later_stays``
    passing_errors: ClassVar[tuple[str, ...]] = ()
    undone_by: ClassVar[tuple[str, ...]] = ()
    reads: ClassVar[tuple[Grant, ...]] = ()
    finds: ClassVar[tuple[Grant, ...]] = ()
    contains: ClassVar[tuple[Grant, ...]] = ()
    restores: ClassVar[tuple[Grant, ...]] = ()

    def __init__(self, target_context: ContextType, sessions: Sessions, state: StateType) -> None:
        self.target_context, self.sessions, self.state = target_context, sessions, state

    # -- what each control declares ----------------------------------------------------------------

    def read(self) -> SettingType:
        """Returns the setting as it is, in the form that the prior state is stored in."""
        raise NotImplementedError

    def wanted(self, name: str, value: ValueType | None) -> ValueType:
        """Returns the value that containment gives to what has ``value``. Pure. None: not known."""
        raise NotImplementedError

    def call(self, name: str, value: ValueType) -> AwsCall:
        """Returns the call that gives ``value`` to the one that ``name`` names, to contain it or
        to restore it. A control whose command is not its call has ``write`` and ``command``.
        """
        raise NotImplementedError

    def contained_text(self, pending: Values[ValueType]) -> str:
        """Says what containment makes of these values, as a participle ("made inactive")."""
        return self.contained_as.format(things=", ".join(map(self.named, pending)))

    # -- where a control is special ----------------------------------------------------------------

    def write(self, name: str, value: ValueType) -> AwsAnswer:
        """Makes the call, again while somebody else changes the same entity."""
        call = self.call(name, value)
        return retry_on_conflict(partial(call.make, self.writer(name)))

    def command(self, name: str, value: ValueType) -> str:
        """Returns the AWS CLI's command, without ``aws``, that does what ``write`` does."""
        return self.call(name, value).text

    def values(self, stored: SettingType | None) -> Values[ValueType]:
        """Returns the values of what ``read`` returned or the prior state holds."""
        return dict(cast("Values[ValueType]", stored or {}))

    def read_recorded(self) -> SettingType:
        """Returns what is recorded of the setting as it is now, for restore."""
        return self.read()

    def to_restore(self) -> Values[ValueType]:
        """Returns the values that restore gives back."""
        return self.recorded or {}

    def key_of(self, name: str) -> str:
        """Returns the key of the prior state that restore reports a value under."""
        return self.item

    def arn_of(self, name: str) -> str:
        """Returns the resource that ``write`` changes."""
        return self.arn

    def writer(self, name: str) -> AwsClient:
        """Returns the client that ``write`` calls."""
        return self.client

    def restore_statements(self, name: str, before: ValueType) -> list[PolicyStatement]:
        """Returns what the session that gives a value back may do."""
        return [allow(actions_of(self.restores), self.arn_of(name))]

    def as_before(self, name: str, before: ValueType, now: ValueType | None) -> bool:
        """Tells whether a value needs no restoring."""
        return bool(now == before)

    def left(self, name: str, before: ValueType, now: ValueType | None) -> bool:
        """Tells whether ``now`` is what containment makes of ``before``."""
        return bool(now == self.wanted(name, before))

    def retained(self, name: str, before: ValueType, now: ValueType | None) -> str:
        """Says why containment's value stays by design, or ''."""
        return ""

    def irreversible(self, name: str, before: ValueType, now: ValueType | None) -> str:
        """Says why a person has to restore it, or ''."""
        return ""

    def state_text(self, name: str, value: ValueType | None) -> str:
        """Says what a value is."""
        thing = self.named(name)
        return f"{thing} no longer exists" if value is None else f"{thing} is {value}"

    def restored_text(self, name: str, before: ValueType) -> str:
        """Says that a value is restored."""
        return self.restored_as.format(thing=self.named(name), before=before)

    def changed_text(self, text: str) -> str:
        """Says what was done, where the change took another way than ``text`` (contained_text)."""
        return text

    def shared_setting(self) -> tuple[str, str] | None:
        """Returns the ARN and the name of a setting that other containments write too, or None."""
        return None

    # -- shared by all -----------------------------------------------------------------------------

    @property
    def enabled(self) -> bool:
        return not self.option or self.target_context.options[self.option] not in (False, "none")

    @property
    def current(self) -> SettingType | None:
        """The setting as it was read; None: it was not."""
        return cast("SettingType | None", self.state.settings.get(self.item))

    @property
    def present(self) -> SettingType:
        """The setting, which was read."""
        return cast("SettingType", self.state.settings[self.item])

    def read_current(self) -> None:
        """Reads the item into the state; a failure is kept there too."""
        if self.enabled:
            try:
                self.state.settings[self.item] = self.read()
            except Exception as error:
                self.state.read_errors[self.item] = describe_error(error)

    def full_command(self, name: str, value: ValueType) -> str:
        """Returns the whole command that a person runs instead of ``write``."""
        region = "" if self.service == "iam" else f" --region {self.target_context.target.region}"
        return f"aws {self.command(name, value)}{region}"

    def manual_text(self) -> str:
        values = self.pending or {self.placeholder: self.wanted(self.placeholder, None)}
        commands = (self.full_command(name, value) for name, value in values.items())
        return f"By hand: {'; '.join(commands)}"

    def named(self, name: str) -> str:
        return self.title.format(name=name)

    @property
    def client(self) -> AwsClient:
        return self.sessions.client(self.service)

    @property
    def arn(self) -> str:
        """The resource that the setting is one of."""
        return self.target_context.target.arn

    @property
    def recorded(self) -> Values[ValueType] | None:
        """The values before containment, with those that came later; None: not recorded.

        A value that is recorded by itself is newer: an earlier restore had left it contained.
        """
        before = self.target_context.before_states
        prefix = f"{self.item}/"
        later = {key.removeprefix(prefix): before[key] for key in before if key.startswith(prefix)}
        if self.item not in before:
            return later or None
        return {**self.values(before[self.item]), **later}

    @property
    def pending(self) -> Values[ValueType]:
        """The values that containment has to write, by name."""
        wanted = {
            name: (value, self.wanted(name, value))
            for name, value in sorted(self.values(self.current).items())
        }
        return {name: new for name, (value, new) in wanted.items() if new != value}

    def pending_change(self) -> str:
        return self.contained_text(self.pending) if self.pending else ""

    def change(self) -> list[AwsAnswer]:
        """Writes every value, also when one fails. Raises the first error then."""
        return write_all(partial(self.write, name, value) for name, value in self.pending.items())

    def intent(self) -> tuple[str, str]:
        """Returns (status, sentence): PLANNED, or why nothing is to be changed."""
        if not self.enabled:
            return SKIPPED, f"switched off ({self.option})"
        if self.item in self.state.read_errors:
            error = self.state.read_errors[self.item]
            return FAILED, f"could not be read ({error}). {self.manual_text()}"
        if text := self.pending_change():
            return PLANNED, text
        if self.current or self.target_context.before_state(self.item):
            return ALREADY, self.done_text
        return SKIPPED, self.absent_text

    def run(self) -> None:
        """Reads, records the prior state, changes and logs the action. Whatever goes wrong
        touches no other branch.
        """
        shared = self.shared_setting()
        holding: AbstractContextManager[Held | None] = nullcontext()
        if shared:
            holding = self.target_context.hold(*shared)
        try:
            with holding as self.held:
                self._run()
        except SettingBusy as busy:
            self.target_context.log_action(self.name, FAILED, f"{busy}. {self.manual_text()}")

    def _run(self) -> None:
        self.read_current()
        status, text = self.intent()
        answers: list[AwsAnswer] = []
        if status == PLANNED:
            try:
                self.record_before()
                answers = self.change()
                status, text = DONE, self.changed_text(text)
            except Exception as error:
                status = FAILED
                text = f"failed ({describe_error(error)}): {text}. {self.manual_text()}"
        self.target_context.log_action(self.name, status, text, answers)

    def record_before(self) -> None:
        """Records the values before containment; those that came later each by itself."""
        recorded = self.recorded
        if recorded is None:
            self.target_context.record_before_state(self.item, self.current)
        elif not self.later_stays:
            later = self.values(self.current).keys() - recorded.keys()
            states = {f"{self.item}/{name}": self.values(self.current)[name] for name in later}
            if states:
                self.target_context.record_before_states(states)

    def correct_log(self) -> None:
        """Corrects the action log where it says FAILED of what is seen to be as wanted: the last
        attempt could not read what an earlier one had done, say.
        """
        logged = self.target_context.logged_action(self.name)
        if logged.get("status") == FAILED and self.intent()[0] == ALREADY:
            self.target_context.log_action(self.name, ALREADY, self.done_text)

    def check(self) -> Check:
        """Returns whether the setting, as it was read, is as containment wants it."""
        _, text = self.intent()
        if not self.enabled:
            return Check(self.name, True, text, fatal=self.critical)
        if self.item in self.state.read_errors:
            return Check(self.name, False, f"{self.name}: {text}", fatal=self.critical, read=False)
        if self.critical and not self.values(self.current):
            text = f"{self.name}: nothing was found to verify it by"
            return Check(self.name, False, text, fatal=True, read=False)
        if not self.pending_change():
            return Check(self.name, True, text, fatal=self.critical)
        text = f"{self.name}: not {text}"
        if self.minor and self.target_context.was_done(self.name):
            return Check(self.name, False, f"{text}. {self.manual_text()}", minor=True)
        return Check(self.name, False, text, fatal=self.critical)

    def checks(self) -> list[Check]:
        return [self.check()]

    def restoring(self, name: str, before: ValueType) -> Self:
        """Returns the control with a session that may give this value back, and nothing else."""
        control = copy(self)
        statements = self.restore_statements(name, before)
        control.sessions = OneSession(self.target_context, statements, {})
        return control

    def restore_value(self, name: str, before: ValueType) -> list[AwsAnswer]:
        """Gives a value back, in a session of its own."""
        return [self.restoring(name, before).write(name, before)]


AnyControl = Control[Any, Any, Any, Any]  # whatever its setting and its values are


class OneSession(Sessions):
    """A single session, which everything is done in."""

    def client(self, service: str, arn: str = "", actions: tuple[str, ...] = ()) -> AwsClient:
        return self.opened[0][0].client(service)


def actions_of(grants: Iterable[Grant]) -> tuple[str, ...]:
    """Returns the IAM actions of grants, each once."""
    return tuple(dict.fromkeys(action for grant in grants for action in grant.actions))


def write_all(calls: Iterable[Callable[[], AwsAnswer]]) -> list[AwsAnswer]:
    """Returns the answers of all calls. All are made; then the first error is raised."""
    answers: list[AwsAnswer] = []
    failed: Exception | None = None
    for call in calls:
        try:
            answers.append(call())
        except Exception as error:
            failed = failed or error
    if failed:
        raise failed
    return answers
