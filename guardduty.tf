# GuardDuty itself, if the variable guardduty asks for it. It does not follow create: a response that goes leaves
# detection as it is.

locals {
  # The budget notifies the response's topic, so it goes where that goes, unless it has addresses of its own.
  watch_spending = try(local.guardduty.spend_watch.monthly_limit_usd != null, false) && (var.create || try(length(local.guardduty.spend_watch.email_addresses), 0) > 0)
  budget_alerts  = local.watch_spending && try(local.guardduty.spend_watch.topic, false)
}

module "guardduty" {
  source = "./modules/guardduty"
  count  = var.guardduty == null ? 0 : 1

  name_prefix           = var.name_prefix
  detector              = local.guardduty.detector
  organization          = local.guardduty.organization
  suppression_filters   = local.guardduty.suppression_filters
  trusted_ip_lists      = local.guardduty.trusted_ip_lists
  threat_lists          = local.guardduty.threat_lists
  findings_export       = local.guardduty.findings_export
  malware_protection_s3 = local.guardduty.malware_protection_s3
  spend_watch           = var.create || local.watch_spending ? local.guardduty.spend_watch : null
  topic = !var.create ? null : {
    arn = local.topic_arns.notifications
    # A topic that is created here uses the module's key. Your own topic uses its own key, or your own key of the module
    # (if it does not, that permission opens nothing, because it is bound to the topic).
    encrypted   = local.notifications_settings.create_topic || !local.kms_settings.create || local.notifications_settings.topic_kms_key_arn != null
    kms_key_arn = try(coalesce(local.notifications_settings.topic_kms_key_arn, local.kms_key_arn), null)
  }
  iam  = local.iam_settings
  tags = var.tags
}

# Release 0.1 had these modules in the root. An upgrade moves them, and destroys nothing.
moved {
  from = module.detector[0]
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

moved {
  from = module.malware_protection_s3
  to   = module.guardduty[0].module.malware_protection_s3
}

moved {
  from = module.spend_watch
  to   = module.guardduty[0].module.spend_watch
}
