# The switches are in a YAML file of their own, for people who review switches and not Terraform.

provider "aws" {
  region = var.region
}

data "aws_caller_identity" "current" {}

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

  security_account_id = data.aws_caller_identity.current.account_id
}
