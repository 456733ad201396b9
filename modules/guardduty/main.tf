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
module "detector" {
  source = "../detector"

  create                       = var.detector.create
  id                           = var.detector.id
  finding_publishing_frequency = var.detector.finding_publishing_frequency
  features                     = var.detector.features
  organization                 = var.organization
  arn_base                     = local.arn_base
  tags                         = var.tags
}

module "suppression_filters" {
  source = "../suppression-filters"
  count  = length(var.suppression_filters) > 0 ? 1 : 0

  detector_id = module.detector.id
  filters     = var.suppression_filters
  tags        = var.tags
}

module "ip_lists" {
  source = "../ip-lists"
  count  = length(var.trusted_ip_lists) + length(var.threat_lists) > 0 ? 1 : 0

  name_prefix      = var.name_prefix
  arn_base         = local.arn_base
  detector_id      = module.detector.id
  trusted_ip_lists = var.trusted_ip_lists
  threat_lists     = var.threat_lists
  tags             = var.tags
}

module "findings_export" {
  source = "../findings-export"
  count  = var.findings_export.create ? 1 : 0

  name_prefix       = var.name_prefix
  detector_arn      = "arn:${local.arn_base.partition}:guardduty:${local.arn_base.region}:${local.arn_base.account_id}:detector/${module.detector.id}"
  create_bucket     = var.findings_export.create_bucket
  bucket_arn        = var.findings_export.bucket_arn
  create_key        = var.findings_export.create_key
  kms_key_arn       = var.findings_export.kms_key_arn
  prefix            = var.findings_export.prefix
  expire_after_days = var.findings_export.expire_after_days
  object_lock       = var.findings_export.object_lock
  force_destroy     = var.findings_export.force_destroy
  tags              = var.tags
}

module "malware_protection_s3" {
  source = "../malware-protection-s3"
  count  = length(var.malware_protection_s3) > 0 ? 1 : 0

  name_prefix = var.name_prefix
  arn_base    = local.arn_base
  buckets     = var.malware_protection_s3
  iam         = var.iam
  tags        = var.tags
}

module "spend_watch" {
  source = "../spend-watch"
  count  = var.spend_watch.monthly_limit_usd != null || var.spend_watch.trial_ends_on != null ? 1 : 0

  name_prefix       = var.name_prefix
  arn_base          = local.arn_base
  monthly_limit_usd = var.spend_watch.monthly_limit_usd
  thresholds        = var.spend_watch.thresholds
  email_addresses   = var.spend_watch.email_addresses
  notify_topic      = var.spend_watch.topic && var.topic != null
  topic_arn         = try(var.topic.arn, null)
  topic_encrypted   = try(var.topic.encrypted, false)
  topic_kms_key_arn = try(var.topic.kms_key_arn, null)
  trial_ends_on     = var.spend_watch.trial_ends_on
  trial_notice_days = var.spend_watch.trial_notice_days
  iam               = var.iam
  tags              = var.tags
}
