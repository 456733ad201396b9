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

# What the account's own playbooks may do follows from the same switches, with the module's defaults.
locals {
  options = { for name, options in module.guardduty_response.playbook_options : name => options if contains(var.responder_playbooks, name) }
}

module "responder_role" {
  source = "../../modules/responder-role"

  name_prefix         = var.name_prefix
  security_account_id = var.account_id
  playbooks           = var.responder_playbooks
  restore             = [for name, options in local.options : name if try(options.restore, false)]
  remediate           = [for name, options in local.options : name if length(try(options.remediate, [])) > 0 || try(options.rotate_key != null, false)]
  rotate_keys         = anytrue([for options in local.options : try(options.rotate_key != null, false)])
  terminate           = [for name, options in local.options : name if try(options.finish, "none") == "terminate"]
  untrack_connections = anytrue([for options in local.options : try(options.untrack_connections, false)])
  identity_center     = anytrue([for options in local.options : try(options.identity_center.account_id == var.account_id, false)])
  tags                = var.tags
}
