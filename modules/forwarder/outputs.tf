output "rules" {
  description = "Maps findings, and changes (changes-2, …; one for each playbook), to name, description and pattern (JSON) of the rule."
  value       = local.rules
}

output "target" {
  description = "Id, event bus, and retries of the target of each rule."
  value = {
    id                           = "home"
    arn                          = local.bus_arn
    maximum_event_age_in_seconds = 86400
    maximum_retry_attempts       = 185
  }
}

output "role" {
  description = "Name, description, path, trust_policy (JSON), policy_name and policy (JSON) of the role that forwards events."
  value = {
    # The name contains the Region, because IAM is shared by all Regions.
    name        = "${local.name_prefix}-forwarder-${var.region}"
    description = "Sends what the GuardDuty response listens to on to its home Region."
    path        = var.for_member_accounts.iam_path
    trust_policy = jsonencode({
      Version = "2012-10-17"
      Statement = [{
        Sid       = "TheseRules"
        Effect    = "Allow"
        Principal = { Service = "events.amazonaws.com" }
        Action    = "sts:AssumeRole"
        Condition = {
          StringEquals = { "aws:SourceAccount" = var.account_id }
          ArnEquals    = { "aws:SourceArn" = local.rule_arns }
        }
      }]
    })
    policy_name = "forward"
    policy = jsonencode({
      Version = "2012-10-17"
      Statement = [{
        Sid      = "Forward"
        Effect   = "Allow"
        Action   = "events:PutEvents"
        Resource = local.bus_arn
      }]
    })
  }
}

output "queue" {
  description = "Name, retention and policy (JSON) of the queue of events that could not be forwarded within a day. Only people read it."
  value = {
    name                      = local.queue_name
    message_retention_seconds = 1209600
    policy = jsonencode({
      Version = "2012-10-17"
      Statement = [
        {
          Sid       = "Rules"
          Effect    = "Allow"
          Principal = { Service = "events.amazonaws.com" }
          Action    = "sqs:SendMessage"
          Resource  = local.queue_arn
          Condition = { ArnEquals = { "aws:SourceArn" = local.rule_arns } }
        },
        {
          Sid       = "TlsOnly"
          Effect    = "Deny"
          Principal = "*"
          Action    = "sqs:*"
          Resource  = local.queue_arn
          Condition = { Bool = { "aws:SecureTransport" = "false" } }
        },
      ]
    })
  }
}

output "alarm" {
  description = "The alarm that goes off when anything is in that queue."
  value = {
    name                = local.queue_name
    description         = "Findings or API calls of this Region did not reach the GuardDuty response in ${split(":", local.bus_arn)[3]} within a day: read ${local.queue_name}, and look for the findings in GuardDuty."
    namespace           = "AWS/SQS"
    metric_name         = "ApproximateNumberOfMessagesVisible"
    statistic           = "Maximum"
    period              = 60
    evaluation_periods  = 1
    threshold           = 0
    comparison_operator = "GreaterThanThreshold"
    treat_missing_data  = "notBreaching"
  }
}
