# One account that is its own security account, with the response and the roles through which it changes resources.

provider "aws" {
  region = var.region
}

module "guardduty_response" {
  source = "../.."

  # Switches GuardDuty on. Leave it out if GuardDuty is managed elsewhere.
  guardduty = {}

  # Begin with dry_run, read what would have been done, then proceed to approve and auto.
  remediations = {
    "CryptoCurrency:EC2/*"                 = "dry_run"
    "CryptoCurrency:EC2/BitcoinTool.B!DNS" = "auto"
    "*:S3/*"                               = "notify"
  }
  minimum_severity = { auto = 7, approve = 4 }

  notifications = {
    email_addresses = var.email_addresses
  }
  exempt_resources = ["arn:aws:ec2:*:*:instance/i-0123456789abcdef0"]
}

# In an organization: the same module call in every member account, with the same value.
module "responder_role" {
  source = "../../modules/responder-role"

  for_member_accounts = module.guardduty_response.for_member_accounts
}
