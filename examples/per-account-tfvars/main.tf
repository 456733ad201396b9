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
  playbooks        = var.playbooks
  guardrails       = var.guardrails
  detector         = var.detector
  evidence         = var.evidence
  paused           = var.paused
  tags             = var.tags

  notifications = {
    email_addresses = var.email_addresses
  }
}

# What the account's own playbooks may do follows from the same switches.
module "responder_role" {
  source = "../../modules/responder-role"

  name_prefix         = var.name_prefix
  security_account_id = var.account_id
  playbooks           = var.responder_playbooks
  restore             = [for name in var.responder_playbooks : name if try(var.playbooks[name].restore, false)]
  remediate           = [for name in var.responder_playbooks : name if length(try(var.playbooks[name].remediate, [])) > 0 || try(var.playbooks[name].rotate_key, null) != null]
  rotate_keys         = try(var.playbooks.iam_principal.rotate_key, null) != null
  terminate           = [for name in var.responder_playbooks : name if try(var.playbooks[name].finish, "none") == "terminate"]
  untrack_connections = try(var.playbooks.ec2_instance.untrack_connections, false)
  identity_center     = try(var.playbooks.iam_principal.identity_center.account_id, null) == var.account_id
  tags                = var.tags
}
