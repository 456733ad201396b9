# Internal: modules/guardduty calls this module. Its variables may change in any release.
#
# One Region of one account: the detector, its protection plans and, in the delegated administrator, those of the
# organization. Removing a feature's resource never switches the feature off in GuardDuty, so every status is explicit
# (docs/decisions/0016).

locals {
  managed     = var.create || var.id != null
  detector_id = var.create ? one(aws_guardduty_detector.this[*].id) : var.id

  # The features known today. Newer ones are accepted as they are given.
  known_configurations = {
    RUNTIME_MONITORING     = ["EC2_AGENT_MANAGEMENT", "ECS_FARGATE_AGENT_MANAGEMENT", "EKS_ADDON_MANAGEMENT"]
    EKS_RUNTIME_MONITORING = ["EKS_ADDON_MANAGEMENT"]
    RDS_LOGIN_EVENTS       = ["RDS_DATA_RISK"]
  }
  rds = "RDS_LOGIN_EVENTS" # see rds.tf
  default_features = {
    "EBS_MALWARE_PROTECTION"                          = "ENABLED"
    "EKS_AUDIT_LOGS"                                  = "ENABLED"
    "LAMBDA_NETWORK_LOGS"                             = "ENABLED"
    "RDS_LOGIN_EVENTS"                                = "ENABLED"
    "S3_DATA_EVENTS"                                  = "ENABLED"
    "RUNTIME_MONITORING"                              = "ENABLED"
    "RUNTIME_MONITORING/EC2_AGENT_MANAGEMENT"         = "DISABLED"
    "RUNTIME_MONITORING/ECS_FARGATE_AGENT_MANAGEMENT" = "DISABLED"
    "RUNTIME_MONITORING/EKS_ADDON_MANAGEMENT"         = "DISABLED"
    # Runtime Monitoring contains it.
    "EKS_RUNTIME_MONITORING"                      = "UNMANAGED"
    "EKS_RUNTIME_MONITORING/EKS_ADDON_MANAGEMENT" = "DISABLED"
    # AWS provider 5 refuses these names, and each is paid for by itself: they are as GuardDuty has them.
    "RDS_LOGIN_EVENTS/RDS_DATA_RISK" = "UNMANAGED"
    "AI_PROTECTION"                  = "UNMANAGED"
    "AI_ANALYST"                     = "UNMANAGED"
  }

  # The order in which the API answers. Any other order is a difference in every plan, because the provider has a list
  # here.
  order = {
    detector     = ["EKS_ADDON_MANAGEMENT", "EC2_AGENT_MANAGEMENT", "ECS_FARGATE_AGENT_MANAGEMENT"]
    organization = ["ECS_FARGATE_AGENT_MANAGEMENT", "EC2_AGENT_MANAGEMENT", "EKS_ADDON_MANAGEMENT"]
  }

  # A detector that exists keeps every status until it is named; where a policy manages GuardDuty, so does one made here.
  defaults = var.create && !local.by_policy ? local.default_features : {}
  merged   = merge(local.defaults, var.features)
  # Everything that is managed, as a flat map. A configuration belongs to its feature.
  features = {
    for key, status in local.merged : key => status
    if local.managed && status != "UNMANAGED" && lookup(local.merged, split("/", key)[0], "UNMANAGED") != "UNMANAGED"
  }
  detector_features = {
    for name, status in local.features : name => {
      status         = status
      configurations = { for key, value in local.features : split("/", key)[1] => value if startswith(key, "${name}/") }
    } if !strcontains(name, "/")
  }
  detector_blocks = {
    for name, one in local.detector_features : name => concat(
      [for conf in local.order.detector : { name = conf, status = one.configurations[conf] } if contains(keys(one.configurations), conf)],
      [for conf, status in one.configurations : { name = conf, status = status } if !contains(local.order.detector, conf)],
    )
  }
}

resource "aws_guardduty_detector" "this" { # To go on with it: guardduty = { … }. To give it up: UPGRADING.md, "Giving GuardDuty up".
  #checkov:skip=CKV2_AWS_3:the check follows neither the id through a local nor the value through the variable (the organization is in organization.tf)
  count = var.create ? 1 : 0

  enable                       = true
  finding_publishing_frequency = coalesce(var.finding_publishing_frequency, "FIFTEEN_MINUTES")
  tags                         = var.tags

  # Deleting a detector deletes its findings, filters and lists, and blinds the account. Terraform prints the line above
  # with its error, so that line says what to do.
  lifecycle {
    prevent_destroy = true
  }
}

# Destroying one of these resources calls nothing: GuardDuty keeps the status, and Terraform no longer sees it.
resource "aws_guardduty_detector_feature" "this" { # To go on with it: name its status in guardduty.detector.features. To give it up: UPGRADING.md, "Giving GuardDuty up".
  for_each = { for name, one in local.detector_features : name => one if name != local.rds }

  detector_id = local.detector_id
  name        = each.key
  status      = each.value.status

  dynamic "additional_configuration" {
    for_each = local.detector_blocks[each.key]

    content {
      name   = additional_configuration.value.name
      status = additional_configuration.value.status
    }
  }

  lifecycle {
    prevent_destroy = true
  }
}

module "adopted" {
  source = "./adopted"
  count  = !var.create && length(local.detector_features) > 0 ? 1 : 0

  detector_id = var.id
  features    = local.detector_features
}
