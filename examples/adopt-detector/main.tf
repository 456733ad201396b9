# An account in which GuardDuty is on already. Its detector is used, not created. This configuration manages the
# protection plans that it names, but not the publishing frequency (README).

provider "aws" {
  region = var.region
}

module "guardduty_response" {
  source = "../.."

  guardduty = {
    detector = {
      create = false
      id     = var.detector_id
      # Only what is named is managed. The plan of the first apply warns of what it changes.
      features = { LAMBDA_NETWORK_LOGS = "DISABLED" }
    }
  }

  # What else is on, for the warning of switches that can never act
  guardduty_features = { S3_DATA_EVENTS = "ENABLED" }

  remediations = {
    "CryptoCurrency:EC2/*" = "dry_run"
  }
  notifications = { email_addresses = var.email_addresses }
}

module "responder_role" {
  source = "../../modules/responder-role"

  for_member_accounts = module.guardduty_response.for_member_accounts
}
