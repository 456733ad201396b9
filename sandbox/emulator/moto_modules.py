"""moto's modules as ``Any``, for the patches of its private functions."""

from __future__ import annotations

import importlib
from typing import Any


def _module(name: str) -> Any:
    """Return a module of moto's, which carries no types."""
    return importlib.import_module(name)


instances = _module("moto.ec2.models.instances")
interfaces = _module("moto.ec2.models.elastic_network_interfaces")
profiles = _module("moto.ec2.models.iam_instance_profile")
block_storage = _module("moto.ec2.models.elastic_block_store")
interface_responses = _module("moto.ec2.responses.elastic_network_interfaces")
instance_responses = _module("moto.ec2.responses.instances")
ec2_errors = _module("moto.ec2.exceptions")
core_responses = _module("moto.core.responses")
autoscaling = _module("moto.autoscaling.models")
autoscaling_errors = _module("moto.autoscaling.exceptions")
load_balancing = _module("moto.elbv2.models")
organizations = _module("moto.organizations.utils")
organization_models = _module("moto.organizations.models")
ec2 = _module("moto.ec2.models")
ebs_responses = _module("moto.ec2.responses.elastic_block_store")
general_responses = _module("moto.ec2.responses.general")
kms = _module("moto.kms")
flow_log_responses = _module("moto.ec2.responses.flow_logs")
ssm = _module("moto.ssm.models")
ssm_responses = _module("moto.ssm.responses")
regions = _module("moto.ec2.models.availability_zones_and_regions")
ec2_utils = _module("moto.ec2.utils")
