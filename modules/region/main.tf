# All that another Region of the security account needs: GuardDuty itself, the forwarder of its findings to the
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
  # merged.
  organization = {
    manage                   = coalesce(var.organization.manage, var.home.organization.manage)
    auto_enable_members      = coalesce(var.organization.auto_enable_members, var.home.organization.auto_enable_members)
    features                 = merge(var.home.organization.features, var.organization.features)
    members                  = var.organization.members == null ? var.home.organization.members : var.organization.members
    member_features          = var.organization.member_features == null ? var.home.organization.member_features : var.organization.member_features
    administrator_account_id = var.organization.administrator_account_id == null ? var.home.organization.administrator_account_id : var.organization.administrator_account_id
  }

  # A bucket or key that is created here takes no settings from one that the user brought for the aggregation Region,
  # and the other way round.
  export_bucket = coalesce(var.findings_export.create_bucket, var.home.findings_export.create_bucket)
  export_key    = coalesce(var.findings_export.create_key, var.home.findings_export.create_key)
  export = {
    create            = coalesce(var.findings_export.create, var.home.findings_export.create)
    bucket_arn        = local.export_bucket || var.findings_export.bucket_arn != null ? var.findings_export.bucket_arn : var.home.findings_export.bucket_arn
    kms_key_arn       = local.export_key || var.findings_export.kms_key_arn != null ? var.findings_export.kms_key_arn : var.home.findings_export.kms_key_arn
    prefix            = var.findings_export.prefix == null ? var.home.findings_export.prefix : var.findings_export.prefix
    expire_after_days = !local.export_bucket || var.findings_export.expire_after_days != null ? var.findings_export.expire_after_days : var.home.findings_export.expire_after_days
    object_lock       = !local.export_bucket || var.findings_export.object_lock != null ? var.findings_export.object_lock : var.home.findings_export.object_lock
    force_destroy     = coalesce(var.findings_export.force_destroy, var.home.findings_export.force_destroy)
  }
}

module "detector" {
  source = "../detector"

  create = var.detector.create
  id     = var.detector.id
  # The aggregation Region's frequency is for a detector that is created here. An existing one keeps its own.
  finding_publishing_frequency = (
    var.detector.finding_publishing_frequency == null && var.detector.create ? var.home.detector.finding_publishing_frequency : var.detector.finding_publishing_frequency
  )
  features     = merge(var.home.detector.features, var.detector.features)
  organization = local.organization
  arn_base     = local.arn_base
  tags         = local.tags
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

# Filters and lists belong to a Region as well. What is suppressed, trusted or a known threat in the aggregation
# Region is so here.
module "suppression_filters" {
  source = "../suppression-filters"
  count  = length(var.home.suppression_filters) > 0 ? 1 : 0

  detector_id = module.detector.id
  filters     = var.home.suppression_filters
  tags        = local.tags
}

module "ip_lists" {
  source = "../ip-lists"
  count  = length(var.home.trusted_ip_lists) + length(var.home.threat_lists) > 0 ? 1 : 0

  name_prefix      = var.home.name_prefix
  arn_base         = local.arn_base
  detector_id      = module.detector.id
  trusted_ip_lists = var.home.trusted_ip_lists
  threat_lists     = var.home.threat_lists
  tags             = local.tags
}

module "findings_export" {
  source = "../findings-export"
  count  = local.export.create ? 1 : 0

  name_prefix       = var.home.name_prefix
  detector_arn      = "arn:${local.arn_base.partition}:guardduty:${local.arn_base.region}:${local.arn_base.account_id}:detector/${module.detector.id}"
  create_bucket     = local.export_bucket
  bucket_arn        = local.export.bucket_arn
  create_key        = local.export_key
  kms_key_arn       = local.export.kms_key_arn
  prefix            = local.export.prefix
  expire_after_days = local.export.expire_after_days
  object_lock       = local.export.object_lock
  force_destroy     = local.export.force_destroy
  tags              = local.tags
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
