# One aggregation Region responds, and the other Regions forward their findings to it. IAM, the functions, the record
# and the evidence are only in the aggregation Region. Quarantine groups and snapshots are created where the instance
# is.

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

# The forensics account, in the same Regions.
provider "aws" {
  alias   = "forensics"
  region  = var.region
  profile = var.forensics_profile
}

provider "aws" {
  alias   = "forensics_eu_west_1"
  region  = "eu-west-1"
  profile = var.forensics_profile
}

provider "aws" {
  alias   = "forensics_us_east_1"
  region  = "us-east-1"
  profile = var.forensics_profile
}

data "aws_caller_identity" "current" {}

module "guardduty_response" {
  source = "../.."

  # On here, and in each Region below
  guardduty = {}

  remediations = {
    "CryptoCurrency:EC2/*" = "auto"
    "*:IAMUser/*"          = "notify"
  }
  notifications = { email_addresses = var.email_addresses }

  # An SSM document belongs to one Region. modules/region creates the same one in each Region.
  forensics = { when = "before", account_ids = [] }

  # Snapshots are copied into the forensics account, and all other evidence is replicated into it.
  evidence = {
    forensics_account = module.vault.forensics_account
    replica           = module.vault.evidence_replica
  }
}

# There is one call for each Region. In version 5, a provider has one Region, hence the aliases. They also work in
# version 6.
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
  # What this Region does not offer, or should not have, is set here.
  detector = { features = { LAMBDA_NETWORK_LOGS = "DISABLED" } }
}

# Roles belong to an account and not to a Region, so they are created once.
module "responder_role" {
  source = "../../modules/responder-role"

  for_member_accounts = module.guardduty_response.for_member_accounts
}

# Copies of snapshots stay in the instance's Region and need a key there: one key, with a replica in each other
# Region. The bucket for replicas of the other evidence is in this Region alone, as the evidence is.
module "vault" {
  source    = "../../modules/forensics-account"
  providers = { aws = aws.forensics }

  security_account_id = data.aws_caller_identity.current.account_id
  member_account_ids  = [data.aws_caller_identity.current.account_id] # or organization_id = "o-…"
}

module "vault_eu_west_1" {
  source    = "../../modules/forensics-replica"
  providers = { aws = aws.forensics_eu_west_1 }

  primary = module.vault.for_replicas
}

module "vault_us_east_1" {
  source    = "../../modules/forensics-replica"
  providers = { aws = aws.forensics_us_east_1 }

  primary = module.vault.for_replicas
}
