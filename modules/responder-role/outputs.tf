output "role_arns" {
  description = "responder, collector, remediator, restorer, terminator => playbook => ARN of that role in this account."
  value       = { for kind in keys(local.kinds) : kind => { for key, role in local.roles : role.playbook => aws_iam_role.member[key].arn if role.kind == kind } }
  depends_on  = [aws_iam_role_policy.member]
}

output "trusted_function_role_arns" {
  description = "responder, collector, remediator, restorer, terminator => playbook => the function role in the security account that may assume it."
  value       = { for kind in keys(local.kinds) : kind => { for key, role in local.roles : role.playbook => local.function_role_arns[key] if role.kind == kind } }
}

output "policies" {
  description = "responder, collector, remediator, restorer, terminator => playbook => what that role may do, as JSON."
  value       = { for kind in keys(local.kinds) : kind => { for key, role in local.roles : role.playbook => local.policies[key] if role.kind == kind } }
}

output "trust_policies" {
  description = "responder, collector, remediator, restorer, terminator => playbook => trust policy of that role, as JSON."
  value       = { for kind in keys(local.kinds) : kind => { for key, role in local.roles : role.playbook => local.trust_policies[key] if role.kind == kind } }
}

output "quarantine_role_arns" {
  description = "Roles that a quarantined instance is left with: one that may do nothing and, with forensics, one for the SSM agent."
  value       = concat([aws_iam_role.quarantine.arn], aws_iam_role.quarantine_ssm[*].arn)
}

output "quarantine_instance_profile_arns" {
  description = "Instance profiles of those roles."
  value       = concat([aws_iam_instance_profile.quarantine.arn], aws_iam_instance_profile.quarantine_ssm[*].arn)
}
