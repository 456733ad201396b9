# Member B, and the second Region: what makes a finding there one that is answered there. A file of its own, because every
# provider here takes seconds to start: the demonstration leaves it out.

provider "aws" {
  alias                       = "second_member"
  region                      = var.region
  access_key                  = var.second_member_account_id
  secret_key                  = "test"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  s3_use_path_style           = true
}

provider "aws" {
  alias                       = "away"
  region                      = var.second_region
  access_key                  = var.security_account_id
  secret_key                  = "test"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  s3_use_path_style           = true
}

provider "aws" {
  alias                       = "member_away"
  region                      = var.second_region
  access_key                  = var.member_account_id
  secret_key                  = "test"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  s3_use_path_style           = true
}

module "second_member" {
  source    = "../../modules/responder-role"
  providers = { aws = aws.second_member }

  for_member_accounts  = local.members
  permissions_boundary = try(var.iam.permissions_boundary, null)
  tags                 = var.tags
}

module "second_region" {
  source    = "../../modules/region"
  providers = { aws = aws.away }
  count     = local.home.forwarder != null ? 1 : 0

  home = local.home
}

module "member_changes_away" {
  source    = "../../modules/region-forwarder"
  providers = { aws = aws.member_away }
  count     = local.watch ? 1 : 0

  for_member_accounts  = local.members
  permissions_boundary = local.home.iam.permissions_boundary
  tags                 = local.home.tags
}

module "second_member_changes" {
  source    = "../../modules/region-forwarder"
  providers = { aws = aws.second_member }
  count     = local.watch ? 1 : 0

  for_member_accounts  = local.members
  permissions_boundary = local.home.iam.permissions_boundary
  tags                 = local.home.tags
}

output "second_member" {
  description = "Every output of modules/responder-role in member B."
  value       = module.second_member
}

output "second_region" {
  description = "Every output of modules/region in the second Region; null where the module makes nothing."
  value       = one(module.second_region)
}

output "member_changes_away" {
  description = "Every output of modules/region-forwarder in member A's second Region; null while nothing is watched."
  value       = one(module.member_changes_away)
}
