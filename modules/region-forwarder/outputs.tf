output "region" {
  description = "The Region this is deployed to, from the ARN of a rule."
  value       = local.region
}

output "rule_arns" {
  description = "Maps findings, and changes (changes-2, …; one for each playbook), to the ARN of the rule."
  value       = { for name, rule in aws_cloudwatch_event_rule.this : name => rule.arn }
}

output "event_patterns" {
  description = "Maps findings, and changes (changes-2, …; one for each playbook), to the pattern of what is forwarded, as JSON."
  value       = { for name, rule in module.forwarder.rules : name => rule.pattern }
}

output "role_arn" {
  description = "ARN of the role that forwards events."
  value       = aws_iam_role.this.arn
}

output "role_name" {
  description = "Name of that role."
  value       = aws_iam_role.this.name
}

output "undelivered_queue_url" {
  description = "URL of the queue of events that could not be forwarded within a day. People read it."
  value       = aws_sqs_queue.undelivered.url
}

output "undelivered_queue_arn" {
  description = "ARN of that queue."
  value       = aws_sqs_queue.undelivered.arn
}

output "alarm_topic_arn" {
  description = "ARN of the topic that is created for email_addresses (null without any)."
  value       = one(aws_sns_topic.alarms[*].arn)
}
