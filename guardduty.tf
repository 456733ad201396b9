# GuardDuty itself, if the variable guardduty asks for it. It does not follow create: a response that goes leaves
# detection as it is.

locals {
  # The budget notifies the response's topic, so it goes where that goes, unless it has addresses of its own.
  spend_watch    = var.guardduty == null ? null : var.create || length(var.guardduty.spend_watch.email_addresses) > 0 ? var.guardduty.spend_watch : null
  watch_spending = try(local.spend_watch.monthly_limit_usd != null, false)
  budget_alerts  = local.watch_spending && try(local.spend_watch.topic, false)
}

module "guardduty" {
  source = "./modules/guardduty"
  count  = var.guardduty == null ? 0 : 1

  name_prefix           = var.name_prefix
  detector              = var.guardduty.detector
  organization          = var.guardduty.organization
  suppression_filters   = var.guardduty.suppression_filters
  trusted_ip_lists      = var.guardduty.trusted_ip_lists
  threat_lists          = var.guardduty.threat_lists
  findings_export       = var.guardduty.findings_export
  malware_protection_s3 = var.guardduty.malware_protection_s3
  spend_watch           = local.spend_watch
  topic = !var.create ? null : {
    arn = local.topic_arns.notifications
    # A topic that is created here uses the module's key. Your own topic uses its own key, or your own key of the module
    # (if it does not, that permission opens nothing, because it is bound to the topic).
    encrypted   = var.notifications.create_topic || !var.kms.create || var.notifications.topic_kms_key_arn != null
    kms_key_arn = try(coalesce(var.notifications.topic_kms_key_arn, local.kms_key_arn), null)
  }
  iam  = var.iam
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
