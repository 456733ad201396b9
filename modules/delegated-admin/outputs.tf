output "admin_account_id" {
  description = <<-EOT
    The delegated administrator, known once it is registered. Pass it to organization.administrator_account_id of the
    modules/guardduty (guardduty.organization of the root module in another configuration), which waits for the registration.
  EOT
  value       = aws_guardduty_organization_admin_account.this.id
}

output "organization_id" {
  description = "Id of the organization (o-…), for organization_id of the root module."
  value       = data.aws_organizations_organization.this.id
}

output "management_account_id" {
  description = "The organization's management account, for management_account_id of the root module."
  value       = data.aws_organizations_organization.this.master_account_id
}

output "management_detector_id" {
  description = "Id of the management account's detector (null if it is not created here)."
  value       = one(aws_guardduty_detector.management[*].id)
}

output "enablement_managed_by" {
  description = <<-EOT
    GUARDDUTY_POLICY if that policy type of AWS Organizations is enabled in the organization's root, else MODULE. Pass it
    to detector.managed_by: auto-enable has no effect once the type is enabled.
  EOT
  value       = local.policy_enabled ? "GUARDDUTY_POLICY" : "MODULE"
}
