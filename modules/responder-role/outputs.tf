output "role_arns" {
  description = <<-EOT
    Maps responder, collector, monitor, remediator, restorer and terminator (with identity_center also
    identity-center-responder, identity-center-monitor and identity-center-restorer), and then a playbook, to the ARN
    of that role in this account.
  EOT
  value       = { for kind in module.roles.kinds : kind => { for key, role in local.roles : role.playbook => local.role_arns[key] if role.kind == kind } }
  depends_on  = [aws_iam_role_policy.member]
}

output "trusted_function_role_arns" {
  description = "Maps the same keys to the function role in the security account that may assume the role."
  value       = { for kind in module.roles.kinds : kind => { for key, role in local.roles : role.playbook => module.roles.trusted_function_role_arns[key] if role.kind == kind } }
}

output "policies" {
  description = "Maps the same keys to what the role may do, as JSON."
  value       = { for kind in module.roles.kinds : kind => { for key, role in local.roles : role.playbook => role.policy if role.kind == kind } }
}

output "trust_policies" {
  description = "Maps the same keys to the trust policy of the role, as JSON."
  value       = { for kind in module.roles.kinds : kind => { for key, role in local.roles : role.playbook => role.trust_policy if role.kind == kind } }
}

output "quarantine_role_arns" {
  description = "Roles that a quarantined instance gets: one that may do nothing and, for forensics after containment, one for the SSM agent."
  value       = concat([aws_iam_role.quarantine.arn], aws_iam_role.quarantine_ssm[*].arn)
}

output "quarantine_instance_profile_arns" {
  description = "Instance profiles of those roles."
  value       = concat([aws_iam_instance_profile.quarantine.arn], aws_iam_instance_profile.quarantine_ssm[*].arn)
}
