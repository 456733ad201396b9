# The evidence bucket is replicated into another account: what is encrypted is, deletions are not, and the role that
# does it can do nothing else. modules/forensics-account (forensics_account.tftest.hcl) has the other end.

mock_provider "aws" {
  source          = "./tests/terraform/mocks"
  override_during = plan
}

variables {
  notifications = { expected_subscriptions = 1 } # somebody subscribes by other means
  name_prefix   = "gdr"
  iam           = { path = "/security/", permissions_boundary = "arn:aws:iam::111111111111:policy/boundary" }
  kms_key_arn   = "arn:aws:kms:eu-central-1:111111111111:key/00000000-0000-0000-0000-000000000000"
  functions     = { architecture = "x86_64", memory_size = 1024, vpc = { subnet_ids = [], security_group_ids = [] } }
  tags          = { team = "security" }

  account_id         = "111111111111"
  partition          = "aws"
  config_json        = "{}"
  paused             = false
  act_patterns       = []
  playbook_functions = {}
  zips               = { incident = "lambda_src/dist/incident.zip", watchdog = "lambda_src/dist/watchdog.zip" }
  timeout_seconds    = 3600
  topic_arns = {
    notifications = "arn:aws:sns:eu-central-1:111111111111:gdr-notifications"
    escalations   = "arn:aws:sns:eu-central-1:111111111111:gdr-notifications"
  }
}

run "replicated" {
  command = plan

  module {
    source = "./modules/incident"
  }

  variables {
    evidence = { create_bucket = true, force_destroy = false, log_retention_days = 30, object_lock = { mode = "GOVERNANCE", days = 30 }, replica = { bucket_arn = "arn:aws:s3:::vault", account_id = "333333333333", kms_key_arn = "arn:aws:kms:eu-west-1:333333333333:key/k", metrics = false, time_control = true } }
  }

  assert {
    condition = jsondecode(output.replication_policy).Statement == [
      { Sid = "Look", Effect = "Allow", Action = ["s3:GetReplicationConfiguration", "s3:ListBucket"], Resource = "arn:aws:s3:::gdr-evidence-111111111111-eu-central-1" },
      {
        Sid      = "Read"
        Effect   = "Allow"
        Action   = ["s3:GetObjectVersionForReplication", "s3:GetObjectVersionAcl", "s3:GetObjectVersionTagging", "s3:GetObjectRetention", "s3:GetObjectLegalHold"]
        Resource = "arn:aws:s3:::gdr-evidence-111111111111-eu-central-1/incidents/*"
      },
      { Sid = "Replicate", Effect = "Allow", Action = ["s3:ReplicateObject", "s3:ReplicateTags", "s3:ObjectOwnerOverrideToBucketOwner"], Resource = "arn:aws:s3:::vault/incidents/*" },
      {
        Sid      = "Decrypt"
        Effect   = "Allow"
        Action   = "kms:Decrypt"
        Resource = var.kms_key_arn
        Condition = {
          StringLike = {
            "kms:ViaService"                   = "s3.eu-central-1.*"
            "kms:EncryptionContext:aws:s3:arn" = ["arn:aws:s3:::gdr-evidence-111111111111-eu-central-1", "arn:aws:s3:::gdr-evidence-111111111111-eu-central-1/incidents/*"]
          }
        }
      },
      {
        Sid      = "EncryptReplicas"
        Effect   = "Allow"
        Action   = ["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey"]
        Resource = "arn:aws:kms:eu-west-1:333333333333:key/k"
        Condition = {
          StringLike = {
            "kms:ViaService"                   = "s3.eu-west-1.*"
            "kms:EncryptionContext:aws:s3:arn" = ["arn:aws:s3:::vault", "arn:aws:s3:::vault/incidents/*"]
          }
        }
      },
    ]
    error_message = "The role must read the incidents' objects, replicate them and nothing else, each key through S3 alone."
  }
  assert {
    condition = alltrue([
      aws_iam_role.replication[0].name == "gdr-evidence-replication",
      aws_iam_role.replication[0].path == "/security/",
      aws_iam_role.replication[0].permissions_boundary == "arn:aws:iam::111111111111:policy/boundary",
      jsondecode(aws_iam_role.replication[0].assume_role_policy).Statement == [{ Effect = "Allow", Principal = { Service = "s3.amazonaws.com" }, Action = "sts:AssumeRole" }],
    ])
    error_message = "S3 alone may assume the role, which modules/forensics-account names."
  }
  assert {
    condition = alltrue([
      aws_cloudwatch_metric_alarm.this["evidence-not-replicated"].namespace == "AWS/S3",
      aws_cloudwatch_metric_alarm.this["evidence-not-replicated"].metric_name == "OperationsFailedReplication",
      aws_cloudwatch_metric_alarm.this["evidence-not-replicated"].dimensions == tomap({ SourceBucket = "gdr-evidence-111111111111-eu-central-1", DestinationBucket = "vault", RuleId = aws_s3_bucket_replication_configuration.evidence[0].rule[0].id }),
      aws_cloudwatch_metric_alarm.this["evidence-not-replicated"].alarm_actions == toset([var.topic_arns.notifications]),
    ])
    error_message = "People hear of every object that S3 could not replicate, also of those that are stored last."
  }
  assert {
    condition = [
      for rule in aws_s3_bucket_replication_configuration.evidence[0].rule : {
        status      = rule.status
        prefix      = rule.filter[0].prefix
        deletions   = rule.delete_marker_replication[0].status
        encrypted   = rule.source_selection_criteria[0].sse_kms_encrypted_objects[0].status
        bucket      = rule.destination[0].bucket
        account     = rule.destination[0].account
        owner       = rule.destination[0].access_control_translation[0].owner
        key         = rule.destination[0].encryption_configuration[0].replica_kms_key_id
        metrics     = rule.destination[0].metrics[0].event_threshold[0].minutes
        within_time = rule.destination[0].replication_time[0].time[0].minutes
      }
      ] == [{
        status      = "Enabled"
        prefix      = "incidents/"
        deletions   = "Disabled"
        encrypted   = "Enabled"
        bucket      = "arn:aws:s3:::vault"
        account     = "333333333333"
        owner       = "Destination"
        key         = "arn:aws:kms:eu-west-1:333333333333:key/k"
        metrics     = 15
        within_time = 15
    }]
    error_message = "What is encrypted must be replicated, deletions must not, and the other account must own the replicas."
  }
}

run "replicated_in_the_same_account" {
  command = plan

  module {
    source = "./modules/incident"
  }

  variables {
    evidence = { create_bucket = true, force_destroy = false, log_retention_days = 30, replica = { bucket_arn = "arn:aws:s3:::vault", account_id = "111111111111", kms_key_arn = "arn:aws:kms:eu-central-1:111111111111:key/k", metrics = true, time_control = false } }
  }

  assert {
    condition = alltrue([
      length(aws_s3_bucket_replication_configuration.evidence[0].rule[0].destination[0].access_control_translation) == 0,
      aws_s3_bucket_replication_configuration.evidence[0].rule[0].destination[0].account == null,
      length(aws_s3_bucket_replication_configuration.evidence[0].rule[0].destination[0].replication_time) == 0,
      aws_s3_bucket_replication_configuration.evidence[0].rule[0].destination[0].metrics[0].status == "Enabled",
      length(aws_s3_bucket_replication_configuration.evidence[0].rule[0].destination[0].metrics[0].event_threshold) == 0,
      !strcontains(output.replication_policy, "ObjectOwnerOverride"),
      strcontains(output.replication_policy, "GetObjectRetention"),
    ])
    error_message = "Within an account nobody else becomes the owner; a bucket that had Object Lock once keeps it, so retention is read in any case."
  }
}

run "without_metrics_there_is_no_alarm" {
  command = plan

  module {
    source = "./modules/incident"
  }

  variables {
    evidence = { create_bucket = true, force_destroy = false, log_retention_days = 30, replica = { bucket_arn = "arn:aws:s3:::vault", account_id = "333333333333", kms_key_arn = "arn:aws:kms:eu-west-1:333333333333:key/k", metrics = false, time_control = false } }
  }

  assert {
    condition = alltrue([
      length(aws_s3_bucket_replication_configuration.evidence[0].rule[0].destination[0].metrics) == 0,
      !contains(keys(aws_cloudwatch_metric_alarm.this), "evidence-not-replicated"),
    ])
    error_message = "An alarm on a metric that S3 does not publish would never fire."
  }
}

run "brought_buckets_are_their_owners_to_replicate" {
  command = plan

  module {
    source = "./modules/incident"
  }

  variables {
    evidence = { create_bucket = false, bucket_arn = "arn:aws:s3:::ours", force_destroy = false, log_retention_days = 30, replica = { bucket_arn = "arn:aws:s3:::vault", account_id = "333333333333", kms_key_arn = "arn:aws:kms:eu-west-1:333333333333:key/k", metrics = false, time_control = true } }
  }

  assert {
    condition     = length(aws_s3_bucket_replication_configuration.evidence) == 0 && length(aws_iam_role.replication) == 0 && output.replication_policy == null
    error_message = "The replication rules of a bucket that is brought along must stay as they are."
  }
}

run "replica_in_another_partition" {
  command = plan

  module {
    source = "./modules/incident"
  }

  variables {
    evidence = { create_bucket = true, force_destroy = false, log_retention_days = 30, replica = { bucket_arn = "arn:aws-cn:s3:::vault", account_id = "333333333333", kms_key_arn = "arn:aws-cn:kms:cn-north-1:333333333333:key/k", metrics = false, time_control = false } }
  }

  expect_failures = [aws_s3_bucket_replication_configuration.evidence]
}

run "replica_is_the_source" {
  command = plan

  module {
    source = "./modules/incident"
  }

  variables {
    evidence = { create_bucket = true, force_destroy = false, log_retention_days = 30, replica = { bucket_arn = "arn:aws:s3:::gdr-evidence-111111111111-eu-central-1", account_id = "111111111111", kms_key_arn = "arn:aws:kms:eu-central-1:111111111111:key/k", metrics = false, time_control = false } }
  }

  expect_failures = [aws_s3_bucket_replication_configuration.evidence]
}

run "replica_key_of_another_account" {
  command = plan

  variables {
    evidence = { replica = { bucket_arn = "arn:aws:s3:::vault", account_id = "333333333333", kms_key_arn = "arn:aws:kms:eu-central-1:444444444444:key/k" } }
  }

  expect_failures = [var.evidence]
}

run "replica_key_of_another_partition" {
  command = plan

  variables {
    evidence = { replica = { bucket_arn = "arn:aws-cn:s3:::vault", account_id = "444444444444", kms_key_arn = "arn:aws:kms:eu-central-1:444444444444:key/k" } }
  }

  expect_failures = [var.evidence]
}

# S3 replicates a bucket with Object Lock only into a bucket with Object Lock.
run "locked_without_a_locked_replica" {
  command = plan

  variables {
    evidence = { object_lock = { days = 30 }, replica = { bucket_arn = "arn:aws:s3:::vault", account_id = "444444444444", kms_key_arn = "arn:aws:kms:eu-central-1:444444444444:key/k" } }
  }

  expect_failures = [var.evidence]
}
