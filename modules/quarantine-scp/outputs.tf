output "policy_id" {
  description = "Id of the service control policy."
  value       = aws_organizations_policy.this.id
}

output "content" {
  description = "The service control policy, as JSON."
  value       = local.content
}

output "ec2_policy_id" {
  description = "Id of the service control policy for instances, or null."
  value       = one(aws_organizations_policy.ec2[*].id)
}

output "ec2_content" {
  description = "The service control policy for instances, as JSON."
  value       = local.ec2_content
}
