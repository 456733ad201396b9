"""What MiniStack's IAM lacks of a user's credentials: SSH keys, service-specific credentials,
signing certificates.
"""

from __future__ import annotations

import hashlib
import secrets
import string
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape

from .ministack import iam, responses
from .patching import extend

Json = dict[str, Any]
Answer = tuple[int, dict[str, str], bytes]
_ALPHABET = string.ascii_uppercase + string.digits
_RESTORES = "IAM users have SSH public keys, service-specific credentials and signing certificates"


@dataclass(frozen=True)
class Kind:
    """One kind of credential: ``singular``/``plural`` name its calls and shapes, ``id`` the
    field its id is in.
    """

    singular: str
    plural: str
    create: str
    id: str
    prefix: str
    quota: int
    secret: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ("Active", "Inactive")


SSH = Kind("SSHPublicKey", "SSHPublicKeys", "Upload", "SSHPublicKeyId", "APKA", 5)
SERVICE = Kind(
    "ServiceSpecificCredential",
    "ServiceSpecificCredentials",
    "Create",
    "ServiceSpecificCredentialId",
    "ACCA",
    2,
    ("ServicePassword",),
    ("Active", "Inactive", "Expired"),
)
CERTIFICATE = Kind("SigningCertificate", "SigningCertificates", "Upload", "CertificateId", "", 2)
_stores: dict[Kind, Any] = {
    kind: responses.AccountScopedDict() for kind in (SSH, SERVICE, CERTIFICATE)
}


def xml(name: str, value: object) -> str:
    """Return a value as IAM's XML: objects by their names, lists as members."""
    if isinstance(value, dict):
        inner = "".join(xml(key, item) for key, item in value.items())
    elif isinstance(value, list):
        inner = "".join(xml("member", item) for item in value)
    else:
        inner = str(value).lower() if isinstance(value, bool) else escape(str(value))
    return f"<{name}>{inner}</{name}>"


def error(status: int, code: str, message: str) -> Answer:
    """Return an error of IAM's."""
    answer: Answer = iam._error(status, code, escape(message))
    return answer


def _answer(call: str, result: Json | None = None) -> Answer:
    answer: Answer = iam._xml(
        200, f"{call}Response", "" if result is None else xml(f"{call}Result", result)
    )
    return answer


def _no_user(name: str) -> Answer | None:
    return (
        None
        if name in iam._users
        else error(404, "NoSuchEntity", f"The user with name {name} cannot be found.")
    )


def _of(kind: Kind, user: str) -> list[Json]:
    return [item for item in _stores[kind].values() if item["UserName"] == user]


def _new(kind: Kind, user: str, params: Json) -> Json:
    made: Json = {
        "UserName": user,
        kind.id: (
            kind.prefix
            + "".join(secrets.choice(_ALPHABET) for _ in range(17 if kind.prefix else 32))
        ),
        "Status": "Active",
    }
    if kind is SERVICE:
        service = iam._p(params, "ServiceName")
        made |= {
            "CreateDate": iam._now(),
            "ServiceName": service,
            "ServiceUserName": f"{user}-at-{responses.get_account_id()}",
        }
        return made | {"ServicePassword": secrets.token_urlsafe(30)}
    body = iam._p(params, "SSHPublicKeyBody" if kind is SSH else "CertificateBody")
    if kind is SSH:
        digest = hashlib.md5(body.encode(), usedforsecurity=False).hexdigest()
        made["Fingerprint"] = ":".join(digest[at : at + 2] for at in range(0, 32, 2))
    return made | {
        "SSHPublicKeyBody" if kind is SSH else "CertificateBody": body,
        "UploadDate": iam._now(),
    }


def _shape(kind: Kind) -> str:
    """Return the name its one object has in an answer."""
    return "Certificate" if kind is CERTIFICATE else kind.singular


def _create(kind: Kind) -> Callable[[Json], Answer]:
    call = f"{kind.create}{kind.singular}"

    def run(params: Json) -> Answer:
        user = iam._p(params, "UserName")
        if missing := _no_user(user):
            return missing
        if kind is SSH and not iam._p(params, "SSHPublicKeyBody").startswith(
            ("ssh-rsa ", "-----BEGIN")
        ):
            return error(400, "InvalidPublicKey", "The public key is not valid.")
        service = iam._p(params, "ServiceName")
        existing = [item for item in _of(kind, user) if item.get("ServiceName", "") == service]
        if len(existing) >= kind.quota:
            return error(
                409, "LimitExceeded", f"Cannot exceed quota for {kind.plural}PerUser: {kind.quota}"
            )
        made = _new(kind, user, params)
        _stores[kind][made[kind.id]] = {
            name: value for name, value in made.items() if name not in kind.secret
        }
        return _answer(call, {_shape(kind): made})

    return run


def _list(kind: Kind) -> Callable[[Json], Answer]:
    left_out = {"SSHPublicKeyBody", "Fingerprint"}
    name = "Certificates" if kind is CERTIFICATE else kind.plural

    def run(params: Json) -> Answer:
        user = iam._p(params, "UserName")
        if missing := _no_user(user):
            return missing
        service = iam._p(params, "ServiceName")
        existing = [
            item for item in _of(kind, user) if not service or item.get("ServiceName") == service
        ]
        shown = [
            {key: value for key, value in item.items() if key not in left_out} for item in existing
        ]
        return _answer(f"List{kind.plural}", {name: shown, "IsTruncated": False})

    return run


def _find(kind: Kind, params: Json) -> Json | Answer:
    user = iam._p(params, "UserName")
    name = iam._p(params, kind.id)
    found: Json | None = _stores[kind].get(name)
    if found is None or (user and found["UserName"] != user):
        return error(404, "NoSuchEntity", f"The {kind.singular} with id {name} cannot be found.")
    return found


def _update(kind: Kind) -> Callable[[Json], Answer]:
    def run(params: Json) -> Answer:
        found = _find(kind, params)
        status = iam._p(params, "Status")
        if not isinstance(found, dict):
            return found
        if status not in kind.statuses[:2]:
            return error(
                400,
                "ValidationError",
                f"Value '{status}' at 'status' failed to satisfy constraint: Active, Inactive",
            )
        found["Status"] = status
        return _answer(f"Update{kind.singular}")

    return run


def _delete(kind: Kind) -> Callable[[Json], Answer]:
    def run(params: Json) -> Answer:
        found = _find(kind, params)
        if not isinstance(found, dict):
            return found
        del _stores[kind][found[kind.id]]
        return _answer(f"Delete{kind.singular}")

    return run


for _kind in _stores:
    extend(
        iam, "_IAM_HANDLERS", f"{_kind.create}{_kind.singular}", _create(_kind), restores=_RESTORES
    )
    extend(iam, "_IAM_HANDLERS", f"List{_kind.plural}", _list(_kind), restores=_RESTORES)
    extend(iam, "_IAM_HANDLERS", f"Update{_kind.singular}", _update(_kind), restores=_RESTORES)
    extend(iam, "_IAM_HANDLERS", f"Delete{_kind.singular}", _delete(_kind), restores=_RESTORES)
