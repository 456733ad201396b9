output "function_arn" {
  description = "ARN of the function."
  value       = local.function_arn
  depends_on  = [aws_iam_role_policy.this]
}

output "function_role_arn" {
  description = "ARN of the function's role, the only principal that its member roles trust."
  value       = aws_iam_role.this.arn
}

output "function_role_policy" {
  description = "What the function may do, as JSON."
  value       = local.policy
}

output "member_role" {
  description = "Path and name of the role that it assumes in the member accounts."
  value       = local.member_role
}

output "environment" {
  description = "The function's environment: the record, the roles that it assumes, the topics to which it publishes."
  value       = local.environment
}
