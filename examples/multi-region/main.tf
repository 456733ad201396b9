# One home Region that answers, and the others that listen for it. IAM, the functions, the record and the evidence are the home
# Region's alone; quarantine groups and snapshots are made where the instance is.

provider "aws" {
  region = var.region
}

provider "aws" {
  alias  = "eu_west_1"
  region = "eu-west-1"
}

provider "aws" {
  alias  = "us_east_1"
  region = "us-east-1"
}

data "aws_caller_identity" "current" {}

module "guardduty_response" {
  source = "../.."

  remediations = {
    "CryptoCurrency:EC2/*" = "auto"
    "*:IAMUser/*"          = "notify"
  }
  notifications = { email_addresses = var.email_addresses }

  # An SSM document is Regional: modules/region makes the same one in each.
  forensics = { when = "before", account_ids = [] }

  # Copies of snapshots need a key in the snapshot's Region: a multi-Region key has one in each.
  evidence = { forensics_account = var.forensics_account }
}

# One call a Region. Provider 5 has a Region for each provider, hence the aliases; they work in provider 6 just as well.
module "eu_west_1" {
  source    = "../../modules/region"
  providers = { aws = aws.eu_west_1 }

  home            = module.guardduty_response.for_other_regions
  email_addresses = var.email_addresses
}

module "us_east_1" {
  source    = "../../modules/region"
  providers = { aws = aws.us_east_1 }

  home = module.guardduty_response.for_other_regions
  # What this Region does not offer, or should not have, differs here alone.
  detector = { features = { LAMBDA_NETWORK_LOGS = "DISABLED" } }
}

# Roles are an account's, not a Region's: once.
module "responder_role" {
  source = "../../modules/responder-role"

  security_account_id = data.aws_caller_identity.current.account_id
  forensics           = false
}
