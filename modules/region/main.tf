# All that another Region of the security account needs: GuardDuty itself (if the aggregation Region manages it), the forwarder of its findings to the
# aggregation Region, and the document that collects data from that Region's instances. IAM, the functions, the record
# and the evidence are in the aggregation Region. Quarantine groups, snapshots and their keys are created where the
# instance is.

data "aws_partition" "current" {}

data "aws_caller_identity" "current" {}

locals {
  tags = merge(var.home.tags, var.tags)
  arn_base = {
    partition  = data.aws_partition.current.partition
    region     = module.forwarder.region
    account_id = data.aws_caller_identity.current.account_id
  }

  # What is set for this Region overrides the aggregation Region's values. Exceptions and e-mail addresses are not
  # merged. Null if GuardDuty is not managed there: then it is not managed here either.
  home = var.home.guardduty
  organization = local.home == null ? null : {
    manage                   = coalesce(var.organization.manage, local.home.organization.manage)
    auto_enable_members      = coalesce(var.organization.auto_enable_members, local.home.organization.auto_enable_members)
    features                 = merge(local.home.organization.features, var.organization.features)
    members                  = var.organization.members == null ? local.home.organization.members : var.organization.members
    member_features          = var.organization.member_features == null ? local.home.organization.member_features : var.organization.member_features
    administrator_account_id = var.organization.administrator_account_id == null ? local.home.organization.administrator_account_id : var.organization.administrator_account_id
  }

  # A bucket or key that is created here takes no settings from one that the user brought for the aggregation Region,
  # and the other way round.
  home_export   = try(local.home.findings_export, null)
  export_bucket = try(coalesce(var.findings_export.create_bucket, local.home_export.create_bucket), true)
  export_key    = try(coalesce(var.findings_export.create_key, local.home_export.create_key), true)
  export = local.home_export == null ? null : {
    create            = coalesce(var.findings_export.create, local.home_export.create)
    create_bucket     = local.export_bucket
    bucket_arn        = local.export_bucket || var.findings_export.bucket_arn != null ? var.findings_export.bucket_arn : local.home_export.bucket_arn
    create_key        = local.export_key
    kms_key_arn       = local.export_key || var.findings_export.kms_key_arn != null ? var.findings_export.kms_key_arn : local.home_export.kms_key_arn
    prefix            = var.findings_export.prefix == null ? local.home_export.prefix : var.findings_export.prefix
    expire_after_days = !local.export_bucket || var.findings_export.expire_after_days != null ? var.findings_export.expire_after_days : local.home_export.expire_after_days
    object_lock       = !local.export_bucket || var.findings_export.object_lock != null ? var.findings_export.object_lock : local.home_export.object_lock
    force_destroy     = coalesce(var.findings_export.force_destroy, local.home_export.force_destroy)
  }
}

# Filters and lists belong to a Region as well. What is suppressed, trusted or a known threat in the aggregation
# Region is so here.
module "guardduty" {
  source = "../guardduty"
  count  = local.home == null ? 0 : 1

  name_prefix = var.home.name_prefix
  detector = {
    create = var.detector.create
    id     = var.detector.id
    # The aggregation Region's frequency is for a detector that is created here. An existing one keeps its own.
    finding_publishing_frequency = (
      var.detector.finding_publishing_frequency == null && var.detector.create ? local.home.detector.finding_publishing_frequency : var.detector.finding_publishing_frequency
    )
    # What is named there is named for the detectors that are created; one that exists here keeps its statuses.
    features   = merge(var.detector.create ? local.home.detector.features : {}, var.detector.features)
    managed_by = local.home.detector.managed_by
  }
  organization        = local.organization
  suppression_filters = local.home.suppression_filters
  trusted_ip_lists    = local.home.trusted_ip_lists
  threat_lists        = local.home.threat_lists
  findings_export     = try(local.export.create, false) ? local.export : null
  tags                = local.tags
}

# Release 0.1 had these modules here. An upgrade moves them, and destroys nothing.
moved {
  from = module.detector
  to   = module.guardduty[0].module.detector
}

moved {
  from = module.suppression_filters
  to   = module.guardduty[0].module.suppression_filters
}

moved {
  from = module.ip_lists
  to   = module.guardduty[0].module.ip_lists
}

moved {
  from = module.findings_export
  to   = module.guardduty[0].module.findings_export
}

module "forwarder" {
  source = "../region-forwarder"

  # In the security account the same module forwards the findings too.
  for_member_accounts  = { name_prefix = var.home.name_prefix, iam_path = var.home.iam.path, forwarder = var.home.forwarder }
  permissions_boundary = var.home.iam.permissions_boundary
  alarm_topic_arns     = var.alarm_topic_arns
  email_addresses      = var.email_addresses
  tags                 = local.tags
}

# This warning comes when the Region is set up, and not when an instance is lost. It is no error, because a Region
# without copies can be a decision.
check "forensics_key" {
  assert {
    condition = var.home.forensics_key_arn == null ? true : (
      strcontains(var.home.forensics_key_arn, ":key/mrk-") || split(":", var.home.forensics_key_arn)[3] == local.arn_base.region
    )
    error_message = "evidence.forensics_account.kms_key_arn (${coalesce(var.home.forensics_key_arn, "none")}) is a key of another Region: no snapshot of ${local.arn_base.region} can be copied for the forensics account, and finish = \"terminate\" terminates nothing here. Use a multi-Region key (modules/forensics-account) and its replica here (modules/forensics-replica)."
  }
}

# Documents belong to a Region. The collector uses the one of the finding's Region.
module "forensics" {
  source = "../forensics"
  count  = var.home.forensics.when == "off" ? 0 : 1

  name_prefix            = var.home.name_prefix
  packet_capture_seconds = var.home.forensics.packet_capture_seconds
  timeout                = var.home.forensics.timeout_minutes * 60
  memory                 = var.home.forensics.memory
  commands               = var.home.forensics.commands
  account_ids            = var.home.forensics.account_ids
  tags                   = local.tags
}
