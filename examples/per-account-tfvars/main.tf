# One configuration, and one file of variables for each account: for teams that run a deployment of their own in every
# account.

provider "aws" {
  region = var.region

  # With the wrong credentials, the right file stops here.
  allowed_account_ids = [var.account_id]
}

module "guardduty_response" {
  source = "../.."

  name_prefix      = var.name_prefix
  remediations     = var.remediations
  minimum_severity = var.minimum_severity
  ec2_instance     = var.ec2_instance
  iam_principal    = var.iam_principal
  guardduty        = var.guardduty
  evidence         = var.evidence
  tags             = var.tags

  exempt_resources  = var.exempt_resources
  exempt_principals = var.exempt_principals
  freeze_windows    = var.freeze_windows
  circuit_breaker   = var.circuit_breaker
  paused            = var.paused

  notifications = {
    email_addresses = var.email_addresses
  }
}

# Of the roles that the switches need, those of the account's own playbooks.
locals {
  members = module.guardduty_response.for_member_accounts
}

module "responder_role" {
  source = "../../modules/responder-role"

  for_member_accounts = merge(local.members, { roles = { for key, role in local.members.roles : key => role if contains(var.responder_playbooks, basename(key)) } })
  identity_center     = try(module.guardduty_response.playbook_options.iam_principal.identity_center.account_id == var.account_id, false)
  tags                = var.tags
}
