# All that another Region of the security account needs: GuardDuty itself (if the aggregation Region manages it), the forwarder of its findings to the
# aggregation Region, and the document that collects data from that Region's instances. IAM, the functions, the record
# and the evidence are in the aggregation Region. Quarantine groups, snapshots and their keys are created where the
# instance is.

data "aws_partition" "current" {}

data "aws_caller_identity" "current" {}

# What is said of this Region. The organization has a call of its own, and nothing here joins it with the detector: the
# registration of the delegated administrator waits for the detector, and the organization's configuration for the
# registration.
locals {
  # What is left out is as in the aggregation Region, so a key has no default but where that is merged.
  rules = {
    for path, rule in jsondecode(file("${path.module}/../../schema/variables/guardduty.json")).options : path => {
      for key, value in rule : key => value if key != "default" || contains(["detector", "detector.create", "detector.features", "organization", "organization.features", "findings_export"], path)
    } if path != "detector.managed_by"
  }
}

module "settings" {
  source = "../typed-options"

  name   = ""
  value  = { detector = var.detector, findings_export = var.findings_export }
  schema = { options = { for path, rule in local.rules : path => rule if contains(["detector", "findings_export"], split(".", path)[0]) } }
}

module "organization_settings" {
  source = "../typed-options"

  name   = ""
  value  = { organization = var.organization }
  schema = { options = { for path, rule in local.rules : path => rule if split(".", path)[0] == "organization" } }
}

locals {
  detector           = module.settings.values.detector
  findings_export    = module.settings.values.findings_export
  organization_here  = module.organization_settings.values.organization
  handed_over        = merge({ guardduty = null, forensics_key_arn = null }, var.home)
  iam                = merge({ permissions_boundary = null }, var.home.iam)
  is_managed_at_home = local.handed_over.guardduty != null

  tags = merge(tomap(var.home.tags), var.tags)
  arn_base = {
    partition  = data.aws_partition.current.partition
    region     = module.forwarder.region
    account_id = data.aws_caller_identity.current.account_id
  }

  # The variable guardduty of the root module, with what an earlier release did not hand over. Where GuardDuty is not
  # managed there, nothing of this is used: then it is not managed here either.
  home = merge(
    { detector = {}, organization = {}, suppression_filters = [], trusted_ip_lists = {}, threat_lists = {}, findings_export = {} },
    local.handed_over.guardduty,
  )
  home_detector = merge({ finding_publishing_frequency = null, features = {}, managed_by = "MODULE" }, local.home.detector)
  home_organization = merge(
    { manage = false, auto_enable_members = "ALL", features = {}, members = {}, member_features = {}, administrator_account_id = null },
    local.home.organization,
  )
  home_export = merge(
    { create = false, create_bucket = true, bucket_arn = null, create_key = true, kms_key_arn = null, prefix = null, expire_after_days = null, object_lock = null, force_destroy = false },
    local.home.findings_export,
  )

  # What is set for this Region overrides the aggregation Region's values. Exceptions and e-mail addresses are not
  # merged.
  organization = {
    manage                   = coalesce(local.organization_here.manage, local.home_organization.manage)
    auto_enable_members      = coalesce(local.organization_here.auto_enable_members, local.home_organization.auto_enable_members)
    features                 = merge(local.home_organization.features, local.organization_here.features)
    members                  = local.organization_here.members == null ? tomap(local.home_organization.members) : local.organization_here.members
    member_features          = { for account, features in [local.home_organization.member_features, local.organization_here.member_features][local.organization_here.member_features == null ? 0 : 1] : account => features }
    administrator_account_id = local.organization_here.administrator_account_id == null ? local.home_organization.administrator_account_id : local.organization_here.administrator_account_id
  }

  # A bucket or key that is created here takes no settings from one that the user brought for the aggregation Region,
  # and the other way round.
  export_bucket = coalesce(local.findings_export.create_bucket, local.home_export.create_bucket)
  export_key    = coalesce(local.findings_export.create_key, local.home_export.create_key)
  export = {
    create            = local.is_managed_at_home && coalesce(local.findings_export.create, local.home_export.create)
    create_bucket     = local.export_bucket
    bucket_arn        = local.export_bucket || local.findings_export.bucket_arn != null ? local.findings_export.bucket_arn : local.home_export.bucket_arn
    create_key        = local.export_key
    kms_key_arn       = local.export_key || local.findings_export.kms_key_arn != null ? local.findings_export.kms_key_arn : local.home_export.kms_key_arn
    prefix            = local.findings_export.prefix == null ? local.home_export.prefix : local.findings_export.prefix
    expire_after_days = !local.export_bucket || local.findings_export.expire_after_days != null ? local.findings_export.expire_after_days : local.home_export.expire_after_days
    object_lock       = !local.export_bucket || local.findings_export.object_lock != null ? local.findings_export.object_lock : local.home_export.object_lock
    force_destroy     = coalesce(local.findings_export.force_destroy, local.home_export.force_destroy)
  }
}

# Filters and lists belong to a Region as well. What is suppressed, trusted or a known threat in the aggregation
# Region is so here.
module "guardduty" {
  source = "../guardduty"
  count  = local.is_managed_at_home ? 1 : 0

  name_prefix = var.home.name_prefix
  detector = {
    create = local.detector.create
    id     = local.detector.id
    # The aggregation Region's frequency is for a detector that is created here. An existing one keeps its own.
    finding_publishing_frequency = (
      local.detector.finding_publishing_frequency == null && local.detector.create ? local.home_detector.finding_publishing_frequency : local.detector.finding_publishing_frequency
    )
    # What is named there is named for the detectors that are created; one that exists here keeps its statuses.
    features   = merge({ for feature, status in local.home_detector.features : feature => status if local.detector.create }, local.detector.features)
    managed_by = local.home_detector.managed_by
  }
  organization        = local.organization
  suppression_filters = local.home.suppression_filters
  trusted_ip_lists    = local.home.trusted_ip_lists
  threat_lists        = local.home.threat_lists
  findings_export     = local.export.create ? local.export : null
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
  for_member_accounts  = { name_prefix = var.home.name_prefix, iam_path = local.iam.path, forwarder = var.home.forwarder }
  permissions_boundary = local.iam.permissions_boundary
  alarm_topic_arns     = var.alarm_topic_arns
  email_addresses      = var.email_addresses
  tags                 = local.tags
}

# This warning comes when the Region is set up, and not when an instance is lost. It is no error, because a Region
# without copies can be a decision.
check "forensics_key" {
  assert {
    condition = local.handed_over.forensics_key_arn == null ? true : (
      strcontains(local.handed_over.forensics_key_arn, ":key/mrk-") || split(":", local.handed_over.forensics_key_arn)[3] == local.arn_base.region
    )
    error_message = "evidence.forensics_account.kms_key_arn (${coalesce(local.handed_over.forensics_key_arn, "none")}) is a key of another Region: no snapshot of ${local.arn_base.region} can be copied for the forensics account, and finish = \"terminate\" terminates nothing here. Use a multi-Region key (modules/forensics-account) and its replica here (modules/forensics-replica)."
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
