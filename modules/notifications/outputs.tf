output "topic_arns" {
  description = "Maps the suffix of a topic name to its ARN, created here or your own (null if neither)."
  value       = { for suffix, topic in var.topics : suffix => topic.create ? local.topic_arns[suffix] : topic.arn }
}
