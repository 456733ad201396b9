output "event_bus_arn" {
  description = "ARN of the event bus with this deployment's rules, to which the forwarders of member accounts send (for_member_accounts names it). Null if nothing is created."
  value       = var.create ? local.event_bus_arn : null
}

output "event_bus_policy_statement" {
  description = <<-EOT
    The statement (JSON) that lets members of organization_id forward API calls that can undo a containment, for a bus
    whose policy is managed elsewhere (event_forwarding.manage_policy = false). Null unless
    event_forwarding.from_organization is set.
  EOT
  value       = var.create && local.event_forwarding_settings.from_organization ? jsonencode(local.event_bus_statement) : null
}

output "for_other_regions" {
  description = <<-EOT
    The value that modules/region in another Region of this account takes as home. Everything that decides how many
    resources there are is known in the plan.
  EOT
  value = {
    name_prefix         = var.name_prefix
    home_region         = local.region
    security_account_id = local.account_id
    organization_id     = var.organization_id
    iam                 = local.iam_settings
    tags                = var.tags
    forwarder           = var.create ? { event_bus_arn = local.event_bus_arn, rules = { for name, rule in module.patterns.forwarder_rules : name => rule if name == "findings" || local.watch_settings.cloudtrail } } : null
    # What modules/region does with GuardDuty in that Region: the same, or nothing.
    guardduty         = local.guardduty
    forensics         = merge(local.forensics_settings, { when = var.create ? local.forensics_settings.when : "off" })
    forensics_key_arn = try(local.evidence_settings.forensics_account.kms_key_arn, null)
  }
}
