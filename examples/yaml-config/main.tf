# The switches are in a YAML file of their own, for people who review switches and not Terraform.

provider "aws" {
  region = var.region
}

module "guardduty_response" {
  source = "../.."

  guardduty = {}

  remediation_config_file = "${path.root}/remediations.yaml"

  # Wins over the file, key by key. Use it for what differs in one deployment.
  remediations = var.remediations

  notifications = {
    email_addresses = var.email_addresses
  }
}

module "responder_role" {
  source = "../../modules/responder-role"

  for_member_accounts = module.guardduty_response.for_member_accounts
}
