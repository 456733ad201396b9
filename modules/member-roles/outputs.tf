output "roles" {
  description = <<-EOT
    Maps "<kind>/<playbook>" to kind, playbook, name, description, path, permissions_boundary, trust_policy (JSON),
    policy_name, policy (JSON) and max_session_duration of a role that a function of the security account assumes.
  EOT
  value = {
    for key, role in local.keyed : key => {
      kind                 = role.kind
      playbook             = role.playbook
      name                 = role.name
      description          = "GuardDuty response, ${role.playbook}: ${role.may}."
      path                 = local.path
      permissions_boundary = var.permissions_boundary
      trust_policy         = local.trust_policies[key]
      policy_name          = role.kind
      policy               = local.policies[key]
      max_session_duration = 3600
    }
  }

  precondition {
    condition     = alltrue([for policy in values(local.policies) : length(policy) < 10240])
    error_message = "IAM takes 10240 characters for the inline policies of a role. Too long: ${join(", ", [for key, policy in local.policies : "${key} (${length(policy)})" if length(policy) >= 10240])}."
  }
}

output "instance_roles" {
  description = <<-EOT
    Maps quarantine and, for forensics after containment, quarantine_ssm to the role of a quarantined instance, in the form of roles.
    Its instance profile has the same name and path.
  EOT
  value = {
    for key, role in local.instance_roles : key => {
      name                 = var.for_member_accounts.instance_roles[key]
      description          = role.description
      path                 = local.path
      permissions_boundary = var.permissions_boundary
      trust_policy = jsonencode({
        Version   = "2012-10-17"
        Statement = [{ Effect = "Allow", Principal = { Service = "ec2.amazonaws.com" }, Action = "sts:AssumeRole" }]
      })
      policy_name          = role.policy_name
      policy               = jsonencode({ Version = "2012-10-17", Statement = role.statements })
      max_session_duration = 3600
    } if contains(keys(var.for_member_accounts.instance_roles), key)
  }
}

output "kinds" {
  description = "Kinds of roles, including those of Identity Center if they are switched on. They are the keys of maps by kind."
  value       = concat(keys(local.kinds), [for kind in keys(local.kinds_here) : kind if !contains(keys(local.kinds), kind)])
}

output "trusted_function_role_arns" {
  description = "Maps \"<kind>/<playbook>\" to the function role in the security account that may assume the role."
  value       = { for key, role in local.keyed : key => role.trusted_function_role_arn }
}
