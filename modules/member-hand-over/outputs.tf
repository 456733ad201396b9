output "value" {
  description = "The variable for_member_accounts of modules/responder-role, modules/responder-stackset and modules/region-forwarder."
  value = {
    name_prefix         = var.name_prefix
    security_account_id = var.security_account_id
    organization_id     = var.organization_id
    partition           = var.partition
    iam_path            = var.iam_path
    roles = {
      for key, role in local.roles : key => {
        name                      = "${var.name_prefix}-${role.name}"
        trusted_function_role_arn = "arn:${var.partition}:iam::${var.security_account_id}:role${var.iam_path}${var.name_prefix}-${role.function}-${replace(role.playbook, "_", "-")}"
      }
    }
    instance_roles = merge(
      { quarantine = local.quarantine_name },
      { for key, name in { quarantine_ssm = "${local.quarantine_name}-ssm" } : key => name if var.forensics },
    )
    rotate_keys         = var.rotate_keys
    untrack_connections = var.untrack_connections
    forwarder           = var.forwarder
  }
}
