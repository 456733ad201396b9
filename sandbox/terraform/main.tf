# The module as a platform team would use it: in the security account, the responder's roles in member A.
# elsewhere.tf: what is in member B and in the second Region. The options of the playbooks are in files that
# sandbox/playbook_variables.py writes beside these.

locals {
  # Of the module's own outputs, so that nothing is here that the switches leave out.
  home  = module.security.for_other_regions
  watch = local.home.event_bus_arn != null && var.organization_id != null && length(local.home.playbooks) > 0
  # Each playbook's options with their defaults
  options = module.security.playbook_options
  roles = {
    restore     = [for name, options in local.options : name if try(options.restore, false)]
    remediate   = [for name, options in local.options : name if length(try(options.remediate, [])) > 0 || try(options.rotate_key != null, false)]
    rotate_keys = anytrue([for options in local.options : try(options.rotate_key != null, false)])
    terminate   = [for name, options in local.options : name if try(options.finish, "none") == "terminate"]
    forensics   = try(var.forensics.when, "off") != "off"
    untrack     = anytrue([for options in local.options : try(options.untrack_connections, false)])
  }
}

module "security" {
  source = "../../"

  create                   = var.create
  name_prefix              = var.name_prefix
  tags                     = var.tags
  organization_id          = var.organization_id
  iam                      = var.iam
  kms                      = var.kms
  guardduty                = var.guardduty
  remediations             = var.remediations
  account_remediations     = var.account_remediations
  minimum_severity         = var.minimum_severity
  remediation_config_file  = var.remediation_config_file
  extra_finding_types      = var.extra_finding_types
  forensics                = var.forensics == null ? null : merge(var.forensics, { account_ids = [var.member_account_id, var.second_member_account_id] })
  notifications            = var.notifications
  exempt_accounts          = var.exempt_accounts
  exempt_resources         = var.exempt_resources
  exempt_principals        = var.exempt_principals
  management_account_id    = var.management_account_id
  approval_tag             = var.approval_tag
  approval_timeout_minutes = var.approval_timeout_minutes
  freeze_windows           = var.freeze_windows
  circuit_breaker          = var.circuit_breaker
  watch                    = var.watch
  evidence                 = var.evidence
  deletion_protection      = false
  functions                = var.functions
  paused                   = var.paused
  event_forwarding         = { from_organization = var.organization_id != null }
}

module "member" {
  source    = "../../modules/responder-role"
  providers = { aws = aws.member }

  name_prefix         = var.name_prefix
  security_account_id = var.security_account_id
  organization_id     = var.organization_id
  iam                 = var.iam
  tags                = var.tags
  untrack_connections = local.roles.untrack
  restore             = local.roles.restore
  remediate           = local.roles.remediate
  rotate_keys         = local.roles.rotate_keys
  terminate           = local.roles.terminate
  forensics           = local.roles.forensics
}

# CloudTrail tells a member's changes on the member's own bus: this sends those that can undo a containment to the security
# account's.
module "member_changes" {
  source    = "../../modules/region-forwarder"
  providers = { aws = aws.member }
  count     = local.watch ? 1 : 0

  name_prefix   = var.name_prefix
  event_bus_arn = local.home.event_bus_arn
  events        = ["changes"]
  playbooks     = local.home.playbooks
  iam           = local.home.iam
  tags          = local.home.tags
}
