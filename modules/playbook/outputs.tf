output "function_arn" {
  description = "ARN of the playbook function."
  value       = aws_lambda_function.this.arn
  depends_on  = [aws_iam_role_policy.this]
}

output "function_role_arn" {
  description = "ARN of the function's role: the only principal the responder roles trust."
  value       = aws_iam_role.this.arn
}

output "function_role_policy" {
  description = "What the function may do, as JSON."
  value       = local.policy
}

output "responder_role" {
  description = "Path and name of the responder role in the member accounts."
  value       = local.responder_role
}
