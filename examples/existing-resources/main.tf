# Key, topics, bucket, permissions boundary and role path exist already. The module creates none of them.

provider "aws" {
  region = var.region
}

data "aws_partition" "current" {}

data "aws_caller_identity" "current" {}

locals {
  partition  = data.aws_partition.current.partition
  account_id = data.aws_caller_identity.current.account_id

  # The path must be the same in the security account and in every member, because it is part of the roles' ARNs.
  iam = {
    path                 = "/security/"
    permissions_boundary = aws_iam_policy.boundary.arn
  }
}

module "guardduty_response" {
  source = "../.."

  guardduty = {}

  remediations = {
    "CryptoCurrency:EC2/*" = "dry_run"
  }

  # There is a plain boolean beside each ARN. An ARN may be unknown until apply, but whether something is created must
  # be known in the plan.
  kms = {
    create  = false
    key_arn = aws_kms_key.security.arn
  }
  notifications = {
    create_topic = false
    topic_arn    = aws_sns_topic.security["security-notifications"].arn
    escalation = {
      create_topic = false
      topic_arn    = aws_sns_topic.security["security-on-call"].arn
    }
  }
  evidence = {
    create_bucket = false
    bucket_arn    = aws_s3_bucket.evidence.arn
  }
  iam = local.iam
}

module "responder_role" {
  source = "../../modules/responder-role"

  for_member_accounts  = module.guardduty_response.for_member_accounts
  permissions_boundary = local.iam.permissions_boundary
}
