# Wiring only. The switches become a policy in policy.tf (checked in policy-checks.tf), the policy becomes the config
# document and the pattern of the rule `act` in config.tf. The functions that act are in functions.tf.

data "aws_partition" "current" {}

data "aws_caller_identity" "current" {}

locals {
  partition  = data.aws_partition.current.partition
  account_id = data.aws_caller_identity.current.account_id
  region     = try(module.incident[0].region, null)
  # Where an empty state is only refreshed there is no key, but values that need the form of its ARN.
  kms_key_arn = var.kms.create ? coalesce(one(aws_kms_key.this[*].arn), "arn:${local.partition}:kms:${coalesce(local.region, "none")}:${local.account_id}:key/none") : var.kms.key_arn
  arn_base    = { partition = local.partition, region = local.region, account_id = local.account_id }

  topic_arns = {
    notifications = try(module.notifications[0].topic_arns.notifications, null)
    # Without an escalation topic, escalations must not be lost.
    escalations = try(coalesce(module.notifications[0].topic_arns.escalations, module.notifications[0].topic_arns.notifications), null)
  }
  # Who has e-mail addresses expects as many confirmed subscriptions; nobody at all is never expected.
  expected_subscriptions = {
    notifications = coalesce(var.notifications.expected_subscriptions, max(1, length(var.notifications.email_addresses)))
    escalations   = coalesce(var.notifications.escalation.expected_subscriptions, max(1, length(var.notifications.escalation.email_addresses)))
  }
  # Your own topics that are encrypted with a key of their own. Whoever publishes there uses that key as well.
  topic_keys = [
    for topic in [var.notifications, var.notifications.escalation] : { topic_arn = topic.topic_arn, kms_key_arn = topic.topic_kms_key_arn } if topic.topic_kms_key_arn != null
  ]
}

locals {
  # Release 0.1 knew one interval. Who has set it gets it for all three.
  watch = {
    first_day_minutes  = coalesce(var.watch.first_day_minutes, var.watch.minutes, 15)
    first_week_minutes = coalesce(var.watch.first_week_minutes, var.watch.minutes, 60)
    later_minutes      = coalesce(var.watch.later_minutes, var.watch.minutes, 360)
    checks_in_flight   = var.watch.checks_in_flight
    cloudtrail         = var.watch.cloudtrail
  }
}

module "notifications" {
  source = "./modules/notifications"
  count  = var.create ? 1 : 0

  name_prefix   = var.name_prefix
  kms_key_arn   = local.kms_key_arn
  arn_base      = local.arn_base
  budget_alerts = local.watch_spending && var.spend_watch.topic
  tags          = var.tags

  topics = {
    notifications = {
      create          = var.notifications.create_topic
      arn             = var.notifications.topic_arn
      email_addresses = var.notifications.email_addresses
    }
    escalations = {
      create          = var.notifications.escalation.create_topic
      arn             = var.notifications.escalation.topic_arn
      email_addresses = var.notifications.escalation.email_addresses
    }
  }
}

module "incident" {
  source = "./modules/incident"
  count  = var.create ? 1 : 0

  name_prefix        = var.name_prefix
  account_id         = local.account_id
  partition          = local.partition
  config_json        = local.config_json
  paused             = var.paused
  act_patterns       = local.act_patterns
  playbook_functions = local.playbook_functions
  monitor_functions  = local.monitor_functions
  expiry_functions   = local.expiry_functions
  zips = {
    incident = "${path.module}/lambda_src/dist/incident.zip"
    watchdog = "${path.module}/lambda_src/dist/watchdog.zip"
  }
  timeout_seconds        = local.incident_timeout_seconds
  topic_arns             = local.topic_arns
  topic_keys             = local.topic_keys
  messages_a_minute      = var.notifications.messages_a_minute
  expected_subscriptions = local.expected_subscriptions
  kms_key_arn            = local.kms_key_arn
  iam                    = var.iam
  functions              = var.functions
  deletion_protection    = var.deletion_protection
  evidence               = var.evidence
  watch                  = local.watch
  tags                   = var.tags
}

# The document that collects data from an instance over SSM. The collector names it, and members run it.
module "forensics" {
  source = "./modules/forensics"
  count  = var.create && var.forensics.when != "off" ? 1 : 0

  name_prefix            = var.name_prefix
  packet_capture_seconds = var.forensics.packet_capture_seconds
  timeout                = var.forensics.timeout_minutes * 60
  memory                 = var.forensics.memory
  commands               = var.forensics.commands
  account_ids            = var.forensics.account_ids
  tags                   = var.tags
}
