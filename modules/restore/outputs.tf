output "function_arn" {
  description = "ARN of the restore function."
  value       = aws_lambda_function.this.arn
  depends_on  = [aws_iam_role_policy.this]
}

output "function_role_arn" {
  description = "ARN of the function's role: the only principal the restorer roles trust."
  value       = aws_iam_role.this.arn
}

output "function_role_policy" {
  description = "What the function may do, as JSON."
  value       = local.policy
}
