"""botocore and moto do the same with less repetition.

Every unit test has AWS sessions and clients of its own. Making them took a third of the tests'
time, and most of it repeated what does not depend on the test: reading service models, making the
methods of a client's class, finding the names of events. It is done once for a test process.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import os
import string
from collections.abc import Callable
from typing import Any

_auth: Any = importlib.import_module("botocore.auth")
_client: Any = importlib.import_module("botocore.client")
_config: Any = importlib.import_module("botocore.configprovider")
_endpoint: Any = importlib.import_module("botocore.endpoint")
_http: Any = importlib.import_module("botocore.httpsession")
_hooks: Any = importlib.import_module("botocore.hooks")
_loaders: Any = importlib.import_module("botocore.loaders")
_regions: Any = importlib.import_module("botocore.regions")
_model: Any = importlib.import_module("botocore.model")
_mocking: Any = importlib.import_module("moto.core.models")
_moto_serialize: Any = importlib.import_module("moto.core.serialize")
_moto_random: Any = importlib.import_module("moto.moto_api._internal.moto_random")
_signers: Any = importlib.import_module("botocore.signers")
_moto_responses: Any = importlib.import_module("moto.core.responses")
_session: Any = importlib.import_module("botocore.session")
_user_agent: Any = importlib.import_module("botocore.useragent")
_xml: Any = importlib.import_module("xmltodict")

_add_auth = _auth.SigV4Auth.add_auth
_provide = _config.EnvironmentProvider.provide
_resolve_shape = _model.ShapeResolver.resolve_shape_ref
_possible_keys = _moto_serialize.XFormedAttributePicker.get_possible_keys
_make_methods = _client.ClientCreator._create_methods
_start_aliases = _hooks.EventAliaser.__init__
_list_services = _loaders.Loader.list_available_services
_take_out = _hooks._PrefixTrie.remove_item
_new_provider = _regions.EndpointProvider
_handle_request = _signers.RequestSigner.handler
_SIGNED_ALIKE = frozenset({"cloudtrail", "dynamodb", "ec2", "iam", "sns"})
_make_endpoint = _regions.EndpointRulesetResolver.construct_endpoint
_register_builtin = _session.Session._register_builtin_handlers
_read_file = functools.cache(_loaders.JSONFileLoader().load_file)

_methods: dict[tuple[str, ...], dict[str, Any]] = {}
_aliases: dict[str, str] = {}
_services: dict[tuple[str, ...], list[str]] = {}
_providers: dict[tuple[tuple[str, int], ...], tuple[Any, Any]] = {}
# Who resolves, the id of a reference in a model -> the reference, and its shape
_shapes: dict[tuple[type, int], tuple[Any, Any]] = {}
_keys: dict[tuple[Any, ...], tuple[str, ...]] = {}
_builtin: list[Any] = []


def _create_methods(creator: Any, service_model: Any) -> dict[str, Any]:
    """Return a client class's methods: they depend on the service and its operations alone."""
    key = (service_model.service_name, *service_model.operation_names)
    if key not in _methods:
        _methods[key] = _make_methods(creator, service_model)
    return dict(_methods[key])


def _share_aliases(aliaser: Any, event_emitter: Any, event_aliases: Any = None) -> None:
    """Give all emitters one memory of event names, which follow from a constant table."""
    _start_aliases(aliaser, event_emitter, event_aliases)
    if event_aliases in (None, _hooks.EVENT_ALIASES):
        aliaser._alias_name_cache = _aliases


def _list_available_services(loader: Any, type_name: str) -> list[str]:
    """Return the services in a loader's directories, which nobody changes meanwhile."""
    key = (type_name, *loader.search_paths)
    if key not in _services:
        _services[key] = _list_services(loader, type_name)
    return list(_services[key])


def _accepts_kwargs(function: Callable[..., Any]) -> bool:
    """Tell whether a function takes any keyword: from its code, without building a signature."""
    plain = getattr(function, "__func__", function)
    code = getattr(plain, "__code__", None)
    if code is None and not inspect.isclass(plain):
        code = getattr(vars(type(plain)).get("__call__"), "__code__", None)
    if code is None:
        return inspect.getfullargspec(function)[2] is not None
    return bool(code.co_flags & inspect.CO_VARKEYWORDS)


def _enable_patching(mock: Any, reset: bool = True) -> None:
    """Start moto without its 1,288 URL patterns for the ``requests`` library.

    Nothing here calls AWS with it: such a call is refused instead of answered.
    """
    _mocking.botocore_stubber.enabled = True
    if reset:
        mock.reset()
    _mocking.responses_mock.start()


def _random_string(
    self: Any, length: int = 20, include_digits: bool = True, lower_case: bool = False
) -> str:
    """Return random letters, all in one draw: each answer has an ID of 52."""
    pool = string.ascii_letters + (string.digits if include_digits else "")
    drawn = "".join(self.choices(pool, k=length))
    return drawn.lower() if lower_case else drawn


def _sign(auth: Any, request: Any) -> None:
    """Sign a request without the signature itself, which moto does not look at.

    It reads who signs, with which session, and when. Other ways to sign are as they were, and so
    is what goes to an endpoint of its own: the sandbox does look at it.
    """
    for_moto = type(auth) is _auth.SigV4Auth and ".amazonaws.com" in request.url
    if not for_moto or auth.credentials is None:
        _add_auth(auth, request)
        return
    now = _auth.get_current_datetime()
    request.context["timestamp"] = now.strftime(_auth.SIGV4_TIMESTAMP)
    auth._modify_request_before_signing(request)
    request.headers["Authorization"] = _unsigned(auth.scope(request))


def _unsigned(scope: str) -> str:
    """Return the header that says who signs, for which day, Region and service."""
    return f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"


def _sign_for_moto(signer: Any, operation_name: str, request: Any = None, **more: Any) -> None:
    """Sign a request as ``_sign`` does, of services where nobody asks how it is to be signed."""
    plain = signer._service_id.hyphenize() in _SIGNED_ALIKE and signer._signature_version == "v4"
    if not plain or signer._credentials is None or ".amazonaws.com" not in request.url:
        _handle_request(signer, operation_name, request, **more)
        return
    credentials = signer._credentials.get_frozen_credentials()
    signing = request.context.get("signing", {})
    at = _auth.get_current_datetime().strftime(_auth.SIGV4_TIMESTAMP)
    region = signing.get("region") or signer._region_name
    service = signing.get("signing_name") or signer._signing_name
    scope = f"{credentials.access_key}/{at[:8]}/{region}/{service}/aws4_request"
    headers = {
        "X-Amz-Date": at,
        "X-Amz-Security-Token": credentials.token,
        "Authorization": _unsigned(scope),
    }
    request.context["timestamp"] = at
    for name, value in headers.items():
        del request.headers[name]
        if value:
            request.headers[name] = value


def _own_user_agent(agent: Any) -> str:
    """Return what a client says of itself (``leading_keys`` reads it), without Python's, boto's
    and the system's versions: it is built twice for each call.
    """
    config = agent._client_config
    return str((config and config.user_agent_extra) or "Boto3")


def _own(trie: Any, node: dict[str, Any]) -> dict[str, Any]:
    """Return a node of a tree of event handlers that this tree alone has: itself, or a copy."""
    if node.get("owner") is trie.owner:
        return node
    values = node["values"]
    own = None if values is None else _hooks.NodeList(*(list(section) for section in values))
    children = dict(node["children"])
    return {"chunk": node["chunk"], "children": children, "values": own, "owner": trie.owner}


def _own_path(trie: Any, parts: list[str]) -> dict[str, Any]:
    """Return the node of a key, which this tree alone has from its root on."""
    if not hasattr(trie, "owner"):
        trie.owner = object()
    node = trie._root = _own(trie, trie._root)
    for part in parts:
        child = node["children"].get(part) or {"chunk": part, "values": None, "children": {}}
        node["children"][part] = _own(trie, child)
        node = node["children"][part]
    return node


def _append_handler(trie: Any, key: str, value: object, section: int = 1) -> None:
    node = _own_path(trie, key.split("."))
    if node["values"] is None:
        node["values"] = _hooks.NodeList([], [], [])
    node["values"][section].append(value)


def _remove_handler(trie: Any, key: str, value: object) -> None:
    parts, node = key.split("."), trie._root
    for part in parts:
        node = node["children"].get(part)
        if node is None:
            raise ValueError(f"key is not in trie: {key}")
    _own_path(trie, parts)
    _take_out(trie, key, value)


def _share_handlers(trie: Any) -> Any:
    """Return a copy of a tree of event handlers, as each client gets one: what is registered with
    either of them from now on is copied then.
    """
    shared = type(trie)()
    shared._root = trie._root
    trie.owner, shared.owner = object(), object()
    return shared


def _register_builtin_handlers(session: Any, aliaser: Any) -> None:
    """Give a session botocore's own event handlers, which are functions of no session."""
    emitter = aliaser._emitter
    if _builtin:
        emitter._handlers = _share_handlers(_builtin[0])
    else:
        _register_builtin(session, aliaser)
        _builtin.append(_share_handlers(emitter._handlers))


def _endpoint_provider(**data: Any) -> Any:
    """Return what resolves a service's endpoints, made once of the same files."""
    key = tuple(sorted((name, id(value)) for name, value in data.items()))
    if key not in _providers:  # with the data: an ID is another's once they are gone
        _providers[key] = (_new_provider(**data), data)
    return _providers[key][0]


def _construct_endpoint(
    resolver: Any, operation_model: Any, call_args: Any, request_context: Any
) -> Any:
    """Return where a call goes. That depends on its parameters for S3 and others that say so; for
    DynamoDB only if they have the ARN of a table, which no test's have.
    """
    service, name = operation_model.service_model.service_name, operation_model.name
    parameters = operation_model.context_parameters or operation_model.operation_context_parameters
    if service != "dynamodb" and (service == "s3" or parameters):
        return _make_endpoint(resolver, operation_model, call_args, request_context)
    known = vars(resolver).setdefault("known_endpoints", {})
    if name not in known:
        known[name] = _make_endpoint(resolver, operation_model, call_args, request_context)
    return known[name]


def _resolve_shape_once(resolver: Any, reference: Any) -> Any:
    """Return the shape of a reference in a model, which belongs to one place there: moto notes the
    place on the shape.
    """
    key = (type(resolver), id(reference))
    known = _shapes.get(key)
    if known is None or known[0] is not reference:
        known = _shapes[key] = (reference, _resolve_shape(resolver, reference))
    return known[1]


def _keys_of(picker: Any, context: Any) -> tuple[str, ...]:
    """Return under which names moto looks for a member of an answer in an object: they depend on
    the member's place in the model and the object's class.
    """
    key = (type(context.obj), context.key, context.shape)
    if key not in _keys:
        _keys[key] = tuple(_possible_keys(picker, context))
    return _keys[key]


def _provide_variable(provider: Any) -> Any:
    """Return an environment variable. Most of those that each client asks for are not set, which
    ``os.environ`` says by an exception.
    """
    environment: Any = provider._env
    if provider._env is os.environ and os.fsencode(provider._name) not in environment._data:
        return None
    return _provide(provider)


def hasten() -> None:
    """Put all of it in place, in this process."""
    _auth.SigV4Auth.add_auth = _sign
    # Looks through all of a service's operations for one that DynamoDB does not need to be found.
    _client.ClientCreator._register_endpoint_discovery = lambda *_: None
    _client.ClientCreator._create_methods = _create_methods
    _config.EnvironmentProvider.provide = _provide_variable
    _hooks.EventAliaser.__init__ = _share_aliases
    # moto answers before a connection is opened.
    _endpoint.get_environ_proxies = lambda _url: {}
    _http.create_urllib3_context = functools.cache(_http.create_urllib3_context)
    _hooks._PrefixTrie.__copy__ = _share_handlers
    _hooks._PrefixTrie.append_item = _append_handler
    _hooks._PrefixTrie.remove_item = _remove_handler
    _regions.EndpointProvider = _endpoint_provider
    _regions.EndpointRulesetResolver.construct_endpoint = _construct_endpoint
    _hooks.accepts_kwargs = _accepts_kwargs
    _loaders.Loader.list_available_services = _list_available_services
    _loaders.JSONFileLoader.load_file = lambda _loader, file_path: _read_file(file_path)
    _mocking.MockAWS._enable_patching = _enable_patching
    _model.ShapeResolver.resolve_shape_ref = _resolve_shape_once
    _moto_serialize.XFormedAttributePicker.get_possible_keys = _keys_of
    _xml._validate_name = functools.cache(_xml._validate_name)
    _moto_random.MotoRandom.get_random_string = _random_string
    _signers.RequestSigner.handler = _sign_for_moto
    _moto_responses.http_date = lambda _time: ""  # nobody reads it
    _session.Session._register_builtin_handlers = _register_builtin_handlers
    _user_agent.UserAgentString.to_string = _own_user_agent
