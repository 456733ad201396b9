# What surrounds the findings: suppression, trusted and threat lists, export, malware scans, and what GuardDuty costs.

locals {
  detector_id    = try(module.detector[0].id, null)
  watch_spending = var.spend_watch.monthly_limit_usd != null
}

module "suppression_filters" {
  source = "./modules/suppression-filters"
  count  = var.create && length(var.suppression_filters) > 0 ? 1 : 0

  detector_id = local.detector_id
  filters     = var.suppression_filters
  tags        = var.tags
}

module "ip_lists" {
  source = "./modules/ip-lists"
  count  = var.create && length(var.trusted_ip_lists) + length(var.threat_lists) > 0 ? 1 : 0

  name_prefix      = var.name_prefix
  arn_base         = local.arn_base
  detector_id      = local.detector_id
  trusted_ip_lists = var.trusted_ip_lists
  threat_lists     = var.threat_lists
  tags             = var.tags
}

module "findings_export" {
  source = "./modules/findings-export"
  count  = var.create && var.findings_export.create ? 1 : 0

  name_prefix       = var.name_prefix
  detector_arn      = "arn:${local.partition}:guardduty:${local.region}:${local.account_id}:detector/${local.detector_id}"
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
  source = "./modules/malware-protection-s3"
  count  = var.create && length(var.malware_protection_s3) > 0 ? 1 : 0

  name_prefix = var.name_prefix
  arn_base    = local.arn_base
  buckets     = var.malware_protection_s3
  iam         = local.iam_settings
  tags        = var.tags
}

module "spend_watch" {
  source = "./modules/spend-watch"
  count  = var.create && (local.watch_spending || var.spend_watch.trial_ends_on != null) ? 1 : 0

  name_prefix       = var.name_prefix
  arn_base          = local.arn_base
  monthly_limit_usd = var.spend_watch.monthly_limit_usd
  thresholds        = var.spend_watch.thresholds
  email_addresses   = var.spend_watch.email_addresses
  notify_topic      = var.spend_watch.topic
  topic_arn         = local.topic_arns.notifications
  # A topic that is created here uses the module's key. Your own topic uses its own key, or your own key of the module
  # (if it does not, that permission opens nothing, because it is bound to the topic).
  topic_encrypted   = local.notifications_settings.create_topic || !local.kms_settings.create || local.notifications_settings.topic_kms_key_arn != null
  topic_kms_key_arn = try(coalesce(local.notifications_settings.topic_kms_key_arn, local.kms_key_arn), null)
  trial_ends_on     = var.spend_watch.trial_ends_on
  trial_notice_days = var.spend_watch.trial_notice_days
  iam               = local.iam_settings
  tags              = var.tags
}
