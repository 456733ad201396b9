# One key for everything that the module stores, unless you bring your own. A key that was created here is never deleted
# because kms.create became false: what it encrypted could be read by nobody.

# What AWS services need of the key, for the policy here and for the output kms_key_policy_statements. Nothing here
# may depend on var.kms or var.notifications: your own key gets its policy from these statements, and your own topic
# may be encrypted with the key that is created here.
locals {
  own_topic_arn = "arn:${local.partition}:sns:${coalesce(local.region, "none")}:${local.account_id}:${var.name_prefix}-notifications"

  key_statements = [
    {
      Sid       = "Logs"
      Effect    = "Allow"
      Principal = { Service = "logs.${coalesce(local.region, "none")}.amazonaws.com" }
      Action    = ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*"]
      Resource  = "*"
      Condition = { ArnLike = { "kms:EncryptionContext:aws:logs:arn" = "arn:${local.partition}:logs:${coalesce(local.region, "none")}:${local.account_id}:log-group:*" } }
    },
    {
      # Without these, messages of rules and alarms to an encrypted queue or topic are lost without an error.
      Sid       = "EventsAlarmsAndTopics"
      Effect    = "Allow"
      Principal = { Service = ["events.amazonaws.com", "cloudwatch.amazonaws.com", "sns.amazonaws.com"] }
      Action    = ["kms:Decrypt", "kms:GenerateDataKey*"]
      Resource  = "*"
    },
  ]
  # Whoever uses these statements adds the condition for that topic alone.
  budgets_key_statements = [
    for statement in [{
      Sid       = "BudgetsToOneTopic"
      Effect    = "Allow"
      Principal = { Service = "budgets.amazonaws.com" }
      Action    = ["kms:Decrypt", "kms:GenerateDataKey*"]
      Resource  = "*"
    }] : statement if local.budget_alerts
  ]
}

locals {
  has_key = var.create && (local.kms_settings.create || local.kms_settings.keep_created)
  # What a key that is only kept has encrypted is still read: the state before a containment, messages in queues.
  former_key_statements = [
    for key in aws_kms_key.this : { Sid = "FormerKey", Effect = "Allow", Action = ["kms:Decrypt"], Resource = key.arn } if !local.kms_settings.create
  ]
}

# Remembers whether the key was created here: input stays as it was when this was created. Unlike prevent_destroy, it
# stops no terraform destroy of everything. Only -replace gives it another input.
resource "terraform_data" "kms_created" {
  count = var.create ? 1 : 0

  input = local.kms_settings.create

  lifecycle {
    ignore_changes = [input]
  }
}

locals {
  # Null where nothing is remembered yet: before the first apply, and in a state that was lost.
  kms_was_created = one(terraform_data.kms_created[*].input)
}

resource "aws_kms_key" "this" {
  count = local.has_key ? 1 : 0

  description             = "GuardDuty response (${var.name_prefix}): incident record, evidence, queues, topics and logs."
  enable_key_rotation     = true
  deletion_window_in_days = 30
  tags                    = var.tags

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [{
        Sid       = "IamPoliciesOfThisAccount"
        Effect    = "Allow"
        Principal = { AWS = "arn:${local.partition}:iam::${local.account_id}:root" }
        Action    = "kms:*"
        Resource  = "*"
      }],
      local.key_statements,
      [for statement in local.budgets_key_statements : merge(statement, {
        Condition = { StringEquals = { "kms:EncryptionContext:aws:sns:topicArn" = local.own_topic_arn } }
      })],
    )
  })
}

resource "aws_kms_alias" "this" {
  count = local.has_key ? 1 : 0

  name          = "alias/${var.name_prefix}"
  target_key_id = aws_kms_key.this[0].key_id
}
