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
