# The module as a platform team would use it: in the security account, and the responder's roles in a member account.
# AWS_ENDPOINT_URL points the provider at the local AWS; a 12-digit access key is that account's root user there.

provider "aws" {
  region                      = var.region
  access_key                  = var.security_account_id
  secret_key                  = "test"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  s3_use_path_style           = true
}

provider "aws" {
  alias                       = "member"
  region                      = var.region
  access_key                  = var.member_account_id
  secret_key                  = "test"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  s3_use_path_style           = true
}

module "security" {
  source = "../../"

  create                  = var.create
  name_prefix             = var.name_prefix
  tags                    = var.tags
  organization_id         = var.organization_id
  iam                     = var.iam
  kms                     = var.kms
  detector                = var.detector
  remediations            = var.remediations
  account_remediations    = var.account_remediations
  minimum_severity        = var.minimum_severity
  remediation_config_file = var.remediation_config_file
  extra_finding_types     = var.extra_finding_types
  playbooks               = var.playbooks
  forensics               = var.forensics == null ? null : merge(var.forensics, { account_ids = [var.member_account_id] })
  notifications           = var.notifications
  guardrails              = var.guardrails
  watch                   = var.watch
  evidence                = var.evidence
  functions               = var.functions
  paused                  = var.paused
}

module "member" {
  source    = "../../modules/responder-role"
  providers = { aws = aws.member }

  name_prefix         = var.name_prefix
  security_account_id = var.security_account_id
  organization_id     = var.organization_id
  iam                 = var.iam
  tags                = var.tags
  untrack_connections = try(var.playbooks.ec2_instance.untrack_connections, false)
  restore             = [for name in ["ec2_instance", "iam_principal"] : name if try(var.playbooks[name].restore, false)]
  remediate           = length(try(var.playbooks.iam_principal.remediate, [])) > 0 || try(var.playbooks.iam_principal.rotate_key, null) != null ? ["iam_principal"] : []
  rotate_keys         = try(var.playbooks.iam_principal.rotate_key, null) != null
  terminate           = try(var.playbooks.ec2_instance.finish, "none") == "terminate" ? ["ec2_instance"] : []
  forensics           = try(var.forensics.when, "off") != "off"
}
