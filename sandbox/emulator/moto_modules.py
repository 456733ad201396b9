"""moto's modules as ``Any``, for the patches of its private functions."""

from __future__ import annotations

import importlib
from typing import Any

instances: Any = importlib.import_module("moto.ec2.models.instances")
interfaces: Any = importlib.import_module("moto.ec2.models.elastic_network_interfaces")
profiles: Any = importlib.import_module("moto.ec2.models.iam_instance_profile")
block_storage: Any = importlib.import_module("moto.ec2.models.elastic_block_store")
instance_responses: Any = importlib.import_module("moto.ec2.responses.instances")
ec2_errors: Any = importlib.import_module("moto.ec2.exceptions")
core_responses: Any = importlib.import_module("moto.core.responses")
autoscaling: Any = importlib.import_module("moto.autoscaling.models")
autoscaling_errors: Any = importlib.import_module("moto.autoscaling.exceptions")
load_balancing: Any = importlib.import_module("moto.elbv2.models")
organizations: Any = importlib.import_module("moto.organizations.utils")
organization_models: Any = importlib.import_module("moto.organizations.models")
ec2: Any = importlib.import_module("moto.ec2.models")
ebs_responses: Any = importlib.import_module("moto.ec2.responses.elastic_block_store")
general_responses: Any = importlib.import_module("moto.ec2.responses.general")
kms: Any = importlib.import_module("moto.kms")
flow_log_responses: Any = importlib.import_module("moto.ec2.responses.flow_logs")
ssm: Any = importlib.import_module("moto.ssm.models")
ssm_responses: Any = importlib.import_module("moto.ssm.responses")
regions: Any = importlib.import_module("moto.ec2.models.availability_zones_and_regions")
ec2_utils: Any = importlib.import_module("moto.ec2.utils")
