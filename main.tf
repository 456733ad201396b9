# Wiring only. The switches become a policy in policy.tf (checked in policy-checks.tf), the policy becomes the config
# document and the pattern of the rule `act` in config.tf. The functions that act are in functions.tf.

data "aws_partition" "current" {}

data "aws_caller_identity" "current" {}

locals {
  partition  = data.aws_partition.current.partition
  account_id = data.aws_caller_identity.current.account_id
  region     = try(module.incident[0].region, null)
  # Null where none is created.
  chosen_key = local.kms_settings.create ? one(aws_kms_key.this[*].arn) : local.kms_settings.key_arn
  # Where an empty state is only refreshed there is no key, but values that need the form of its ARN.
  kms_key_arn = coalesce(local.chosen_key, "arn:${local.partition}:kms:${coalesce(local.region, "none")}:${local.account_id}:key/none")
  arn_base    = { partition = local.partition, region = local.region, account_id = local.account_id }

  topic_arns = {
    notifications = try(module.notifications[0].topic_arns.notifications, null)
    # Without an escalation topic, escalations must not be lost.
    escalations = try(coalesce(module.notifications[0].topic_arns.escalations, module.notifications[0].topic_arns.notifications), null)
  }
  # Who has e-mail addresses expects as many confirmed subscriptions; nobody at all is never expected.
  expected_subscriptions = {
    notifications = coalesce(local.notifications_settings.expected_subscriptions, max(1, length(local.notifications_settings.email_addresses)))
    escalations   = coalesce(local.notifications_settings.escalation.expected_subscriptions, max(1, length(local.notifications_settings.escalation.email_addresses)))
  }
  # Your own topics that are encrypted with a key of their own. Whoever publishes there uses that key as well.
  topic_keys = [
    for topic in [local.notifications_settings, local.notifications_settings.escalation] : { topic_arn = topic.topic_arn, kms_key_arn = topic.topic_kms_key_arn } if topic.topic_kms_key_arn != null
  ]
}

locals {
  # Release 0.1 knew one interval. Who has set it gets it for all three.
  watch = {
    first_day_minutes  = coalesce(local.watch_settings.first_day_minutes, local.watch_settings.minutes, 15)
    first_week_minutes = coalesce(local.watch_settings.first_week_minutes, local.watch_settings.minutes, 60)
    later_minutes      = coalesce(local.watch_settings.later_minutes, local.watch_settings.minutes, 360)
    checks_in_flight   = local.watch_settings.checks_in_flight
    cloudtrail         = local.watch_settings.cloudtrail
  }
}

module "notifications" {
  source = "./modules/notifications"
  count  = var.create ? 1 : 0

  name_prefix   = var.name_prefix
  kms_key_arn   = local.kms_key_arn
  arn_base      = local.arn_base
  budget_alerts = local.budget_alerts
  tags          = var.tags

  topics = {
    notifications = {
      create          = local.notifications_settings.create_topic
      arn             = local.notifications_settings.topic_arn
      email_addresses = local.notifications_settings.email_addresses
    }
    escalations = {
      create          = local.notifications_settings.escalation.create_topic
      arn             = local.notifications_settings.escalation.topic_arn
      email_addresses = local.notifications_settings.escalation.email_addresses
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
  messages_a_minute      = local.notifications_settings.messages_a_minute
  expected_subscriptions = local.expected_subscriptions
  kms_key_arn            = local.kms_key_arn
  former_key_statements  = local.former_key_statements
  iam                    = local.iam_settings
  functions              = local.functions_settings
  deletion_protection    = var.deletion_protection
  evidence               = local.evidence_settings
  watch                  = local.watch
  tags                   = var.tags
}

# The document that collects data from an instance over SSM. The collector names it, and members run it.
module "forensics" {
  source = "./modules/forensics"
  count  = var.create && local.forensics_settings.when != "off" ? 1 : 0

  name_prefix            = var.name_prefix
  packet_capture_seconds = local.forensics_settings.packet_capture_seconds
  timeout                = local.forensics_settings.timeout_minutes * 60
  memory                 = local.forensics_settings.memory
  commands               = local.forensics_settings.commands
  account_ids            = local.forensics_settings.account_ids
  tags                   = var.tags
}
