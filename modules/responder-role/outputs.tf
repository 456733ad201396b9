output "responder_role_arns" {
  description = "Playbook => ARN of its responder role in this account."
  value       = { for name, role in aws_iam_role.responder : name => role.arn }
  depends_on  = [aws_iam_role_policy.responder]
}

output "trusted_function_role_arns" {
  description = "Playbook => the function role in the security account that may assume its responder role."
  value       = local.function_role_arns
}

output "responder_policies" {
  description = "Playbook => what its responder role may do, as JSON."
  value       = local.responder_policies
}

output "trust_policies" {
  description = "Playbook => trust policy of its responder role, as JSON."
  value       = local.trust_policies
}

output "restorer_role_arns" {
  description = "Playbook => ARN of the role that undoes it in this account."
  value       = { for name, role in aws_iam_role.restorer : name => role.arn }
  depends_on  = [aws_iam_role_policy.restorer]
}

output "restorer_policies" {
  description = "Playbook => what its restorer role may do, as JSON."
  value       = local.restorer_policies
}

output "restorer_trust_policies" {
  description = "Playbook => trust policy of its restorer role, as JSON."
  value       = local.restorer_trust_policies
}

output "quarantine_role_arn" {
  description = "Role that a quarantined instance is left with."
  value       = aws_iam_role.quarantine.arn
}

output "quarantine_instance_profile_arn" {
  description = "Instance profile of that role."
  value       = aws_iam_instance_profile.quarantine.arn
}
