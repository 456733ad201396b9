output "role_arns" {
  description = "responder, collector, remediator, restorer, terminator (with identity_center also identity-center-responder, identity-center-restorer) => playbook => ARN of that role in this account."
  value       = { for kind in module.roles.kinds : kind => { for key, role in local.roles : role.playbook => aws_iam_role.member[key].arn if role.kind == kind } }
  depends_on  = [aws_iam_role_policy.member]
}

output "trusted_function_role_arns" {
  description = "The same keys => playbook => the function role in the security account that may assume it."
  value       = { for kind in module.roles.kinds : kind => { for key, role in local.roles : role.playbook => module.roles.trusted_function_role_arns[key] if role.kind == kind } }
}

output "policies" {
  description = "The same keys => playbook => what that role may do, as JSON."
  value       = { for kind in module.roles.kinds : kind => { for key, role in local.roles : role.playbook => role.policy if role.kind == kind } }
}

output "trust_policies" {
  description = "The same keys => playbook => trust policy of that role, as JSON."
  value       = { for kind in module.roles.kinds : kind => { for key, role in local.roles : role.playbook => role.trust_policy if role.kind == kind } }
}

output "quarantine_role_arns" {
  description = "Roles that a quarantined instance is left with: one that may do nothing and, with forensics, one for the SSM agent."
  value       = concat([aws_iam_role.quarantine.arn], aws_iam_role.quarantine_ssm[*].arn)
}

output "quarantine_instance_profile_arns" {
  description = "Instance profiles of those roles."
  value       = concat([aws_iam_instance_profile.quarantine.arn], aws_iam_instance_profile.quarantine_ssm[*].arn)
}
