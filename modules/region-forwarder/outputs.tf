output "region" {
  description = "The Region this is deployed to, from the ARN of a rule."
  value       = local.region
}

output "rule_arns" {
  description = "findings, changes => ARN of the rule."
  value       = { for name, rule in aws_cloudwatch_event_rule.this : name => rule.arn }
}

output "event_patterns" {
  description = "findings, changes => what is sent on, as JSON."
  value       = { for name, rule in local.rules : name => rule.pattern }
}

output "role_arn" {
  description = "The role that sends events on."
  value       = aws_iam_role.this.arn
}

output "role_name" {
  description = "Name of that role."
  value       = aws_iam_role.this.name
}

output "undelivered_queue_url" {
  description = "What could not be sent on within a day; people read it."
  value       = aws_sqs_queue.undelivered.url
}

output "undelivered_queue_arn" {
  description = "ARN of that queue."
  value       = aws_sqs_queue.undelivered.arn
}

output "alarm_topic_arn" {
  description = "The topic made here for email_addresses; null without any."
  value       = one(aws_sns_topic.alarms[*].arn)
}
