output "settings" {
  description = "The variables that are objects, with the defaults of schema/variables where nothing was given."
  value = {
    event_forwarding = local.event_forwarding_settings
    evidence         = local.evidence_settings
    forensics        = local.forensics_settings
    functions        = local.functions_settings
    iam              = local.iam_settings
    kms              = local.kms_settings
    notifications    = local.notifications_settings
    watch            = local.watch_settings
  }
}
