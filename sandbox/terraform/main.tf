# The module as a platform team would use it: in the security account, the responder's roles in member A.
# elsewhere.tf: what is in member B and in the second Region. The options of the playbooks are in files that
# sandbox/playbook_variables.py writes beside these.

locals {
  # Of the module's own outputs, so that nothing is here that the switches leave out.
  home    = module.security.for_other_regions
  members = module.security.for_member_accounts
  watch   = local.members.forwarder != null
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

  for_member_accounts  = local.members
  permissions_boundary = try(var.iam.permissions_boundary, null)
  tags                 = var.tags
}

# CloudTrail tells a member's changes on the member's own bus: this sends those that can undo a containment to the security
# account's.
module "member_changes" {
  source    = "../../modules/region-forwarder"
  providers = { aws = aws.member }
  count     = local.watch ? 1 : 0

  for_member_accounts  = local.members
  permissions_boundary = local.home.iam.permissions_boundary
  tags                 = local.home.tags
}
