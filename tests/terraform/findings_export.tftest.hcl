# Export of findings: policies as GuardDuty's user guide has them, for this detector alone; what is brought along is left alone.

mock_provider "aws" {
  source          = "./tests/terraform/mocks"
  override_during = plan
}

variables {
  name_prefix  = "gdr"
  detector_arn = "arn:aws:guardduty:eu-central-1:111111111111:detector/12abc34d567e8fa901bc2d34e56789f0"
}

run "made_here" {
  command = plan

  module {
    source = "./modules/findings-export"
  }

  variables {
    prefix            = "security/guardduty"
    expire_after_days = 400
    object_lock       = { mode = "COMPLIANCE", days = 365 }
    tags              = { team = "security" }
  }

  assert {
    condition = { for s in jsondecode(aws_s3_bucket_policy.this[0].policy).Statement : s.Sid => [s.Effect, s.Principal, s.Action, s.Resource, s.Condition] } == {
      GuardDutyFindsTheBucket = ["Allow", { Service = "guardduty.amazonaws.com" }, "s3:GetBucketLocation", "arn:aws:s3:::gdr-findings-111111111111-eu-central-1",
      { StringEquals = { "aws:SourceAccount" = "111111111111", "aws:SourceArn" = var.detector_arn } }]
      GuardDutyWritesFindings = ["Allow", { Service = "guardduty.amazonaws.com" }, "s3:PutObject", "arn:aws:s3:::gdr-findings-111111111111-eu-central-1/security/guardduty/*",
      { StringEquals = { "aws:SourceAccount" = "111111111111", "aws:SourceArn" = var.detector_arn } }]
      EncryptedOnly = ["Deny", { Service = "guardduty.amazonaws.com" }, "s3:PutObject", "arn:aws:s3:::gdr-findings-111111111111-eu-central-1/*",
      { StringNotEquals = { "s3:x-amz-server-side-encryption" = "aws:kms" } }]
      UnderThisKeyOnly = ["Deny", { Service = "guardduty.amazonaws.com" }, "s3:PutObject", "arn:aws:s3:::gdr-findings-111111111111-eu-central-1/*",
      { StringNotEquals = { "s3:x-amz-server-side-encryption-aws-kms-key-id" = "arn:aws:kms:eu-central-1:111111111111:key/00000000-0000-0000-0000-000000000000" } }]
      TlsOnly = ["Deny", "*", "s3:*", ["arn:aws:s3:::gdr-findings-111111111111-eu-central-1", "arn:aws:s3:::gdr-findings-111111111111-eu-central-1/*"],
      { Bool = { "aws:SecureTransport" = "false" } }]
    }
    error_message = "The bucket must take findings of this detector only, encrypted under this key, over TLS."
  }
  assert {
    condition = jsondecode(aws_kms_key.this[0].policy).Statement == [
      { Sid = "IamPoliciesOfThisAccount", Effect = "Allow", Principal = { AWS = "arn:aws:iam::111111111111:root" }, Action = "kms:*", Resource = "*" },
      {
        Sid       = "GuardDutyEncryptsFindings", Effect = "Allow", Principal = { Service = "guardduty.amazonaws.com" }, Action = "kms:GenerateDataKey", Resource = "*"
        Condition = { StringEquals = { "aws:SourceAccount" = "111111111111", "aws:SourceArn" = var.detector_arn } }
      },
    ] && aws_kms_key.this[0].enable_key_rotation
    error_message = "The key must let GuardDuty encrypt for this detector only, and rotate."
  }
  assert {
    condition = alltrue([
      aws_guardduty_publishing_destination.this.destination_arn == "arn:aws:s3:::gdr-findings-111111111111-eu-central-1/security/guardduty",
      aws_guardduty_publishing_destination.this.detector_id == "12abc34d567e8fa901bc2d34e56789f0",
      aws_guardduty_publishing_destination.this.kms_key_arn == "arn:aws:kms:eu-central-1:111111111111:key/00000000-0000-0000-0000-000000000000",
      aws_s3_object.prefix[0].key == "security/guardduty/",
      !aws_s3_bucket.this[0].force_destroy,
      aws_s3_bucket_object_lock_configuration.this[0].rule[0].default_retention[0].mode == "COMPLIANCE",
      aws_s3_bucket_object_lock_configuration.this[0].rule[0].default_retention[0].days == 365,
      aws_s3_bucket_lifecycle_configuration.this[0].rule[0].expiration[0].days == 400,
      aws_s3_bucket_lifecycle_configuration.this[0].rule[0].filter[0].prefix == "security/guardduty/AWSLogs/",
      aws_s3_bucket_versioning.this[0].versioning_configuration[0].status == "Enabled",
      one(aws_s3_bucket_server_side_encryption_configuration.this[0].rule).apply_server_side_encryption_by_default[0].kms_master_key_id == "arn:aws:kms:eu-central-1:111111111111:key/00000000-0000-0000-0000-000000000000",
      aws_s3_bucket_public_access_block.this[0].block_public_acls, aws_s3_bucket_public_access_block.this[0].block_public_policy,
      aws_s3_bucket_public_access_block.this[0].ignore_public_acls, aws_s3_bucket_public_access_block.this[0].restrict_public_buckets,
    ])
    error_message = "The bucket must be locked, encrypted, versioned, private and expire; the prefix must be there before GuardDuty looks."
  }
}

run "plain" {
  command = plan

  module {
    source = "./modules/findings-export"
  }

  assert {
    condition = alltrue([
      aws_guardduty_publishing_destination.this.destination_arn == "arn:aws:s3:::gdr-findings-111111111111-eu-central-1",
      jsondecode(output.bucket_policy_statements)[1].Resource == "arn:aws:s3:::gdr-findings-111111111111-eu-central-1/*",
      length(aws_s3_object.prefix) + length(aws_s3_bucket_object_lock_configuration.this) + length(aws_s3_bucket_lifecycle_configuration.this) == 0,
    ])
    error_message = "Without options: the whole bucket, nothing locked, nothing expires."
  }
}

run "brought_along" {
  command = plan

  module {
    source = "./modules/findings-export"
  }

  variables {
    create_bucket = false
    bucket_arn    = "arn:aws:s3:::log-archive"
    create_key    = false
    kms_key_arn   = "arn:aws:kms:eu-central-1:999999999999:key/11111111-0000-0000-0000-000000000000"
    prefix        = "gd"
  }

  assert {
    condition     = length(aws_s3_bucket.this) + length(aws_s3_bucket_policy.this) + length(aws_s3_bucket_versioning.this) + length(aws_s3_bucket_ownership_controls.this) + length(aws_s3_bucket_public_access_block.this) + length(aws_s3_bucket_server_side_encryption_configuration.this) + length(aws_kms_key.this) + length(aws_kms_alias.this) + length(aws_s3_object.prefix) == 0
    error_message = "A bucket and a key brought along must be left as they are."
  }
  assert {
    condition = alltrue([
      aws_guardduty_publishing_destination.this.destination_arn == "arn:aws:s3:::log-archive/gd",
      aws_guardduty_publishing_destination.this.kms_key_arn == var.kms_key_arn, output.bucket_name == "log-archive",
      [for s in jsondecode(output.bucket_policy_statements) : s.Sid] == [for name in ["GuardDutyFindsTheBucket", "GuardDutyWritesFindings", "EncryptedOnly", "UnderThisKeyOnly", "TlsOnly"] : "${name}EuCentral1"],
      jsondecode(output.key_policy_statement).Sid == "GuardDutyEncryptsFindingsEuCentral1",
      jsondecode(output.bucket_policy_statements)[1].Resource == "arn:aws:s3:::log-archive/gd/*",
      jsondecode(output.bucket_policy_statements)[3].Condition == { StringNotEquals = { "s3:x-amz-server-side-encryption-aws-kms-key-id" = var.kms_key_arn } },
      jsondecode(output.key_policy_statement).Condition.StringEquals == { "aws:SourceAccount" = "111111111111", "aws:SourceArn" = var.detector_arn },
    ])
    error_message = "The outputs must say what the policies of bucket and key have to hold."
  }
}

# Regions that an account must switch on: GuardDuty comes under the Region's endpoint there.
run "opt_in_region" {
  command = plan

  module {
    source = "./modules/findings-export"
  }

  variables {
    detector_arn = "arn:aws:guardduty:me-south-1:111111111111:detector/12abc34d567e8fa901bc2d34e56789f0"
  }

  assert {
    condition = toset([
      for s in concat(jsondecode(aws_s3_bucket_policy.this[0].policy).Statement, jsondecode(output.bucket_policy_statements), [jsondecode(output.key_policy_statement)], jsondecode(aws_kms_key.this[0].policy).Statement) :
      s.Principal.Service if can(s.Principal.Service)
    ]) == toset(["guardduty.me-south-1.amazonaws.com"])
    error_message = "In an opt-in Region every statement must name the Region's GuardDuty: AWS refuses the destination otherwise."
  }
}

run "region_of_another_partition" {
  command = plan

  module {
    source = "./modules/findings-export"
  }

  variables {
    detector_arn = "arn:aws-us-gov:guardduty:us-gov-west-1:111111111111:detector/12abc34d567e8fa901bc2d34e56789f0"
  }

  assert {
    condition     = jsondecode(output.key_policy_statement).Principal == { Service = "guardduty.amazonaws.com" } && jsondecode(output.key_policy_statement).Sid == "GuardDutyEncryptsFindingsUsGovWest1"
    error_message = "Opt-in Regions are of partition aws alone."
  }
}

run "key_of_another_region" {
  command = plan

  module {
    source = "./modules/findings-export"
  }

  variables {
    create_key  = false
    kms_key_arn = "arn:aws:kms:us-east-1:111111111111:key/11111111-0000-0000-0000-000000000000"
  }

  expect_failures = [aws_guardduty_publishing_destination.this]
}

run "bad_detector" {
  command = plan

  module {
    source = "./modules/findings-export"
  }

  variables {
    detector_arn = "12abc34d567e8fa901bc2d34e56789f0"
  }

  expect_failures = [var.detector_arn]
}

run "bucket_without_its_switch" {
  command = plan

  module {
    source = "./modules/findings-export"
  }

  variables {
    bucket_arn = "arn:aws:s3:::log-archive"
  }

  expect_failures = [var.bucket_arn]
}

run "bucket_missing" {
  command = plan

  module {
    source = "./modules/findings-export"
  }

  variables {
    create_bucket = false
  }

  expect_failures = [var.bucket_arn]
}

run "bucket_with_a_path" {
  command = plan

  module {
    source = "./modules/findings-export"
  }

  variables {
    create_bucket = false
    bucket_arn    = "arn:aws:s3:::log-archive/gd"
  }

  expect_failures = [var.bucket_arn]
}

run "key_without_its_switch" {
  command = plan

  module {
    source = "./modules/findings-export"
  }

  variables {
    kms_key_arn = "arn:aws:kms:eu-central-1:111111111111:key/00000000-0000-0000-0000-000000000000"
  }

  expect_failures = [var.kms_key_arn]
}

run "key_alias" {
  command = plan

  module {
    source = "./modules/findings-export"
  }

  variables {
    create_key  = false
    kms_key_arn = "arn:aws:kms:eu-central-1:111111111111:alias/findings"
  }

  expect_failures = [var.kms_key_arn]
}

run "prefix_with_slash" {
  command = plan

  module {
    source = "./modules/findings-export"
  }

  variables {
    prefix = "guardduty/"
  }

  expect_failures = [var.prefix]
}

run "no_days" {
  command = plan

  module {
    source = "./modules/findings-export"
  }

  variables {
    expire_after_days = 0
  }

  expect_failures = [var.expire_after_days]
}

run "expiry_of_a_bucket_brought_along" {
  command = plan

  module {
    source = "./modules/findings-export"
  }

  variables {
    create_bucket     = false
    bucket_arn        = "arn:aws:s3:::log-archive"
    expire_after_days = 30
  }

  expect_failures = [var.expire_after_days]
}

run "bad_lock_mode" {
  command = plan

  module {
    source = "./modules/findings-export"
  }

  variables {
    object_lock = { mode = "LEGAL", days = 1 }
  }

  expect_failures = [var.object_lock]
}

run "half_a_day_locked" {
  command = plan

  module {
    source = "./modules/findings-export"
  }

  variables {
    object_lock = { mode = "GOVERNANCE", days = 0.5 }
  }

  expect_failures = [var.object_lock]
}

run "lock_of_a_bucket_brought_along" {
  command = plan

  module {
    source = "./modules/findings-export"
  }

  variables {
    create_bucket = false
    bucket_arn    = "arn:aws:s3:::log-archive"
    object_lock   = { mode = "GOVERNANCE", days = 1 }
  }

  expect_failures = [var.object_lock]
}

run "expires_while_locked" {
  command = plan

  module {
    source = "./modules/findings-export"
  }

  variables {
    object_lock       = { mode = "GOVERNANCE", days = 30 }
    expire_after_days = 29
  }

  expect_failures = [var.object_lock]
}
