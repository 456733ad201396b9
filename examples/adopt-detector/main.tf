# An account in which GuardDuty is on already. Its detector is used, not created. This configuration manages the
# protection plans, but not the publishing frequency (README).

provider "aws" {
  region = var.region
}

module "guardduty_response" {
  source = "../.."

  detector = {
    create = false
    id     = var.detector_id
    features = {
      # This is the account's state of today. The plan of the first apply shows what would change.
      RUNTIME_MONITORING  = "UNMANAGED"
      LAMBDA_NETWORK_LOGS = "DISABLED"
    }
  }

  remediations = {
    "CryptoCurrency:EC2/*" = "dry_run"
  }
  notifications = { email_addresses = var.email_addresses }
}

module "responder_role" {
  source = "../../modules/responder-role"

  for_member_accounts = module.guardduty_response.for_member_accounts
}
