output "topic_arns" {
  description = "Topic name suffix => ARN, created here or brought along (null when neither)."
  value       = { for suffix, topic in var.topics : suffix => topic.create ? aws_sns_topic.this[suffix].arn : topic.arn }
}
