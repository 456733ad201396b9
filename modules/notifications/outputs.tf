output "topic_arns" {
  description = "Maps the suffix of a topic name to its ARN, created here or your own (null if neither)."
  value       = { for suffix, topic in var.topics : suffix => topic.create ? aws_sns_topic.this[suffix].arn : topic.arn }
}
