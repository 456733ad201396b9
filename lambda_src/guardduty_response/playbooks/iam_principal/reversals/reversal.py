"""What every reversal shares. A reversal takes back a change that the principal made of another
resource: a control of that resource, which eradication contains and restore gives back.

The present state decides, not what the event says: what is gone, already undone, or changed by
somebody since stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from copy import copy
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar, cast

from guardduty_response.aws import clients
from guardduty_response.containment.aws_call import AwsCall
from guardduty_response.containment.contract import NOTHING
from guardduty_response.containment.control import Control, Grant, ValueType, actions_of
from guardduty_response.containment.target_context import (
    ALREADY,
    Sessions,
    TargetContext,
    allow,
    policy,
)
from guardduty_response.playbooks.iam_principal import resource_state
from guardduty_response.playbooks.iam_principal.principal_context import (
    PrincipalState,
)
from guardduty_response.playbooks.iam_principal.resource_state import Identity
from guardduty_response.playbooks.iam_principal.reversals.changes import Change

if TYPE_CHECKING:
    from guardduty_response.aws.api import AwsAnswer, AwsClient, PolicyStatement
    from guardduty_response.containment.control import Values

T = TypeVar("T")
FieldsType = TypeVar("FieldsType", bound=Mapping[str, object])  # values by field, or by resource
# What eradication records of a change: texts that name the resource, and its fields before.
ReversalRecord = dict[str, Any]
_PLACEHOLDER = re.compile(r"\$\{\w+\}")
MANUAL = "LEFT"  # a status beside those of the action log: a person has to undo it
# Groups, as the policies of playbooks/iam_principal name them
GROUPS = "arn:${partition}:iam::${account_id}:group/*"


class NotReversed(Exception):
    """Nothing is to be done about a change (ALREADY), or not by this reversal (MANUAL).

    ``text`` says why; ``manual_command`` is given where it is not the usual command.
    """

    def __init__(self, status: str, text: str, manual_command: str = "") -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.manual_command = manual_command


class RegionSessions(Sessions):
    """A session in the Region of a change, opened when a client is first asked of it."""

    def __init__(self, principal: TargetContext, region: str, *statements: PolicyStatement) -> None:
        self.target_context, self.base = principal, list(statements)
        self.region = region
        self.session: clients.Session | None = None

    def client(self, service: str, arn: str = "", actions: tuple[str, ...] = ()) -> AwsClient:
        if self.session is None:
            account_id = self.target_context.target.account_id
            assume = self.target_context.context.assume
            self.session = assume(account_id, self.region, policy(*self.base))
        return self.session.client(service)


class Reversal(Control[TargetContext, PrincipalState, FieldsType, ValueType]):
    """The reversal of one kind of change.

    ``record``: its state before, as eradication records it and restore reads it: ``what`` (the kind
    of record), ``event``, ``region``, what names the resource (``names``), ``arn`` where it has
    one, and the values before (``fields``). Its keys are stored names: a record of an earlier
    version must still be readable. Texts are formats of the record.

    ``category``: the entry of the option ``remediate`` that switches it on. ``undoes``: the events
    of the changes. ``named_by``: where an event has each name (``Change.value``; the first that is
    there); ``unnamed``: what an event may fail to say. ``implied``: values before that no record
    has, because nothing else is reverted. ``wants``: the value that eradication gives;
    ``contained_as`` says so, as a participle. ``words``: of a value that is False or True.
    ``then``: what else people must know of restoring. ``thing``: what the resource is;
    ``resource``: its ARN after the partition. ``unknown``: what people read where it is not known
    what the call replaced; ``{item}`` in it is the unique ID, by which AWS Config knows it.
    """

    category = what = then = thing = resource = unknown = ""
    unnamed = "what was changed"
    undoes: ClassVar[tuple[str, ...]] = ()
    named_by: ClassVar[Mapping[str, str]] = NOTHING
    fields: ClassVar[tuple[str, ...]] = ()
    implied: ClassVar[Mapping[str, object]] = NOTHING
    titles: ClassVar[Mapping[str, str]] = NOTHING
    words: ClassVar[tuple[str, str]] = ("off", "on")
    wants: ValueType
    was_recorded = False  # by this call or an earlier one
    made: Collection[str] = ()  # IDs of what calls of the finding made by the resource's name
    unique_id = ""  # of the resource, as it was read

    def __init__(
        self,
        principal: TargetContext,
        sessions: Sessions,
        item: str,
        source: ReversalRecord | Change,
    ) -> None:
        super().__init__(principal, sessions, PrincipalState())
        self.item = item
        self.read_ids: set[str] = set()  # unique IDs of what was read, as ``made`` has them
        self.touched: list[str] = []  # ARNs, IDs and names of what would be changed
        self.remaining: dict[str, tuple[str, str]] = {}  # by resource: why it is left, the command
        if isinstance(source, dict):
            self.record = {**source, "region": source.get("region") or principal.target.region}
            return
        self.event = source
        base = {"what": self.what, "event": source.name, "region": source.region}
        self.record = {**base, **self.names(source)}

    # -- what each kind of change declares ---------------------------------------------------------

    @classmethod
    def applies(cls, change: Change) -> bool:
        """Tells whether the call did what this undoes; people are told of it otherwise."""
        return True

    def names(self, change: Change) -> ReversalRecord:
        """Returns what names the resource in the record."""
        return {
            name: next(filter(None, map(change.value, paths.split())), "")
            for name, paths in self.named_by.items()
        }

    @classmethod
    def replaced(cls, change: Change) -> tuple[str, ...]:
        """Returns whose setting the call may have replaced, or found as it was wanted
        (``role/app``): where calls of the finding made one of these, nobody had set it before.
        Empty where that the call succeeded shows what was there before.
        """
        return ()

    def refuse(self) -> None:
        """Raises NotReversed when the change is not to be reverted, as what was read shows."""

    def refuse_unknown(self) -> None:
        """Raises NotReversed when the owner may have set what the call set, or something else in
        its place. What calls of the finding made has no setting of anybody else's.
        """
        if self.replaced(self.event) and self.read_ids.isdisjoint(self.made):
            raise NotReversed(MANUAL, self.unknown_text(), self.instead_of_unknown())

    def unknown_text(self) -> str:
        """Says that it is not known what the call replaced, and what people should look at."""
        return self.text(self.unknown, self.unique_id)

    def instead_of_unknown(self) -> str:
        """Returns the command for a call that may have replaced something; empty: the usual one."""
        return ""

    def instead(self) -> str:
        """Returns the command that a person runs instead of the reversal."""
        return self.full_command(next(iter(self.fields or self.implied)), self.wants)

    def manual_commands(self) -> list[str]:
        """Returns all that a person runs instead: more where one would be too long to be shown."""
        return self.parts_instead() if self.is_named else [self.event.lookup_command]

    def parts_instead(self) -> list[str]:
        return [self.instead()]

    # -- shared by all -----------------------------------------------------------------------------

    @property
    def is_named(self) -> bool:
        """Whether the event says what was changed."""
        return "" not in self.record.values()

    @property
    def arn(self) -> str:
        recorded = str(self.record.get("arn") or "")
        return recorded or (self.own_arn(self.text(self.resource)) if self.resource else "")

    @property
    def deny_all(self) -> str:
        return self.own_arn("iam::aws:policy/AWSDenyAll")

    def own_arn(self, resource: str) -> str:
        return f"arn:{self.target_context.context.config.partition}:{resource}"

    def text(self, form: str, item: str = "") -> str:
        account_id = self.target_context.target.account_id
        return form.format(**{**self.record, "item": item, "account": account_id})

    def look(self) -> None:
        """Reads the present state. Raises NotReversed when nothing is to be done."""
        if not self.is_named:
            raise NotReversed(MANUAL, f"the event does not say {self.unnamed}")
        self.state.settings[self.item] = self.read()
        self.refuse()

    def identity(self, of: str, name: str) -> Identity:
        """Reads an IAM user, role or group. Raises NotReversed when it does not exist."""
        found = resource_state.identity(self.client, of, name)
        if not found:
            raise NotReversed(ALREADY, f"{of} {name} no longer exists")
        self.record["arn"], self.unique_id = found["arn"], found["id"]
        self.read_ids.add(self.unique_id)
        self.touched += [found["arn"], name]
        return found

    def there(self, call: Callable[[], T | None]) -> T:
        """Returns the call's answer. Raises NotReversed when the resource does not exist."""
        found = resource_state.unless_gone(call)
        if found is None:
            raise NotReversed(ALREADY, f"{self.text(self.thing)} no longer exists")
        return found

    def containing(self, resource: list[str] | str) -> Self:
        """Returns the reversal with a session that may revert the change of this resource."""
        return self._with(statement(self.contains, resource))

    def restore_statements(self, name: str, before: ValueType) -> list[PolicyStatement]:
        return [statement(self.restores, self.arn_of(name))]

    def restoring(self, name: str, before: ValueType) -> Self:
        return self._with(*self.restore_statements(name, before))

    def _with(self, *statements: PolicyStatement) -> Self:
        """Returns the reversal with a session that may do this and nothing else."""
        control = copy(self)
        control.sessions = RegionSessions(self.target_context, self.record["region"], *statements)
        return control

    def wanted(self, name: str, value: ValueType | None) -> ValueType:
        return self.wants

    def values(self, stored: FieldsType | None) -> Values[ValueType]:
        fields = cast("Values[ValueType]", stored or {})
        return {name: fields[name] for name in (*self.fields, *self.implied)}

    def to_restore(self) -> Values[ValueType]:
        return self.values(cast("FieldsType", {**self.implied, **self.record}))

    def before(self) -> ReversalRecord:
        """Returns the record: what restoring needs to know of the present state."""
        arn = {"arn": self.arn} if self.arn else {}
        return {**self.record, **arn, **{field: self.present[field] for field in self.fields}}

    def change(self) -> list[AwsAnswer]:
        return Control.change(self.containing(self.arn))

    def full_command(self, name: str, value: ValueType) -> str:
        return self.call(name, value).command(self.record["region"])

    def shown(self, operation: str, **request: object) -> str:
        """Returns a command that a person runs."""
        return AwsCall(self.service, operation, request).command(self.record["region"])

    def named(self, name: str) -> str:
        return self.text(self.titles.get(name, self.title), name)

    def contained_text(self, pending: Values[ValueType]) -> str:
        return self.text(self.contained_as)

    def state_text(self, name: str, value: ValueType | None) -> str:
        thing = self.named(name)
        if value == self.to_restore().get(name):
            return f"{thing} is as before"
        if value is None:
            return f"{thing} no longer exists"
        if isinstance(value, bool):
            return f"{thing} is {self.words[value]}"
        return f"{thing} is {'another one' if isinstance(value, dict) else value}"

    def restored_text(self, name: str, before: ValueType) -> str:
        thing = self.named(name)
        if before in (None, {}):
            return f"{thing} removed{self.then}"
        if isinstance(before, dict):
            return f"{thing} put back as it was{self.then}"
        said = self.words[before] if isinstance(before, bool) else before
        return f"{thing} is {said} again{self.then}"


AnyReversal = Reversal[Any, Any]  # whatever its fields and values are


def statement(grants: tuple[Grant, ...], resource: list[str] | str) -> PolicyStatement:
    """Returns the statement of a session: those of the grants that are on such a resource."""
    arn = resource if isinstance(resource, str) else resource[0]
    return allow(actions_of(grant for grant in grants if _is_on(grant, arn)), resource)


def _is_on(grant: Grant, arn: str) -> bool:
    patterns = (grant.on,) if isinstance(grant.on, str) else grant.on
    return any(fnmatchcase(arn, _PLACEHOLDER.sub("*", pattern)) for pattern in patterns)


def fixed(**values: T) -> Mapping[str, T]:
    """Returns a mapping that nobody can change, for a class."""
    return MappingProxyType(values)


def on(resource: str, *actions: str) -> tuple[Grant, ...]:
    """Returns the grant of actions on a resource."""
    return (Grant(actions, resource),)
