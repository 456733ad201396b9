# GuardDuty in one Region of one account: the detector, the organization, and what surrounds the findings. It knows
# nothing of the response, so it has a lifecycle of its own: call it in a configuration of its own, or through the
# variable guardduty of the root module.

data "aws_partition" "current" {}

data "aws_caller_identity" "current" {}

# This names the provider's Region, and asks nobody.
data "aws_service" "here" {
  service_id = "guardduty"
}

locals {
  arn_base = {
    partition  = data.aws_partition.current.partition
    region     = data.aws_service.here.region
    account_id = data.aws_caller_identity.current.account_id
  }
}

# The organization has a variable of its own, and nothing here joins it with the detector's: the registration of the
# delegated administrator waits for the detector, and the organization's configuration waits for the registration.
locals {
  schema = jsondecode(file("${path.module}/../../schema/variables/guardduty.json"))
}

module "organization_settings" {
  source = "../typed-options"

  name   = "guardduty"
  value  = { organization = var.organization }
  schema = { options = { for path, rule in local.schema.options : path => rule if split(".", path)[0] == "organization" } }
}

module "settings" {
  source = "../typed-options"

  name = "guardduty"
  value = {
    detector              = var.detector
    suppression_filters   = var.suppression_filters
    trusted_ip_lists      = var.trusted_ip_lists
    threat_lists          = var.threat_lists
    findings_export       = var.findings_export
    malware_protection_s3 = var.malware_protection_s3
    spend_watch           = var.spend_watch
  }
  schema = { options = { for path, rule in local.schema.options : path => rule if split(".", path)[0] != "organization" } }
}

locals {
  organization = module.organization_settings.values.organization
  settings     = module.settings.values
}

module "detector" {
  source = "../detector"

  create                       = local.settings.detector.create
  id                           = local.settings.detector.id
  finding_publishing_frequency = local.settings.detector.finding_publishing_frequency
  features                     = local.settings.detector.features
  managed_by                   = local.settings.detector.managed_by
  organization                 = local.organization
  arn_base                     = local.arn_base
  tags                         = var.tags
}

module "suppression_filters" {
  source = "../suppression-filters"
  count  = length(local.settings.suppression_filters) > 0 ? 1 : 0

  detector_id = module.detector.id
  filters     = local.settings.suppression_filters
  tags        = var.tags
}

module "ip_lists" {
  source = "../ip-lists"
  count  = length(local.settings.trusted_ip_lists) + length(local.settings.threat_lists) > 0 ? 1 : 0

  name_prefix      = var.name_prefix
  arn_base         = local.arn_base
  detector_id      = module.detector.id
  trusted_ip_lists = local.settings.trusted_ip_lists
  threat_lists     = local.settings.threat_lists
  tags             = var.tags
}

module "findings_export" {
  source = "../findings-export"
  count  = local.settings.findings_export.create ? 1 : 0

  name_prefix       = var.name_prefix
  detector_arn      = "arn:${local.arn_base.partition}:guardduty:${local.arn_base.region}:${local.arn_base.account_id}:detector/${module.detector.id}"
  create_bucket     = local.settings.findings_export.create_bucket
  bucket_arn        = local.settings.findings_export.bucket_arn
  create_key        = local.settings.findings_export.create_key
  kms_key_arn       = local.settings.findings_export.kms_key_arn
  prefix            = local.settings.findings_export.prefix
  expire_after_days = local.settings.findings_export.expire_after_days
  object_lock       = local.settings.findings_export.object_lock
  force_destroy     = local.settings.findings_export.force_destroy
  tags              = var.tags
}

module "malware_protection_s3" {
  source = "../malware-protection-s3"
  count  = length(local.settings.malware_protection_s3) > 0 ? 1 : 0

  name_prefix = var.name_prefix
  arn_base    = local.arn_base
  buckets     = local.settings.malware_protection_s3
  iam         = local.iam
  tags        = var.tags
}

module "spend_watch" {
  source = "../spend-watch"
  count  = local.settings.spend_watch.monthly_limit_usd != null || local.settings.spend_watch.trial_ends_on != null ? 1 : 0

  name_prefix       = var.name_prefix
  arn_base          = local.arn_base
  monthly_limit_usd = local.settings.spend_watch.monthly_limit_usd
  thresholds        = local.settings.spend_watch.thresholds
  email_addresses   = local.settings.spend_watch.email_addresses
  notify_topic      = local.settings.spend_watch.topic && var.topic != null
  topic_arn         = try(var.topic.arn, null)
  topic_encrypted   = try(var.topic.encrypted, false)
  topic_kms_key_arn = try(var.topic.kms_key_arn, null)
  trial_ends_on     = local.settings.spend_watch.trial_ends_on
  trial_notice_days = local.settings.spend_watch.trial_notice_days
  iam               = local.iam
  tags              = var.tags
}
