output "for_member_accounts" {
  description = <<-EOT
    The value that modules/responder-role, modules/responder-stackset and modules/region-forwarder take in member
    accounts: names, the roles that the options of the playbooks need and the function that each trusts, and what is
    forwarded. Everything that decides how many resources there are is known in the plan.
  EOT
  value       = module.member_hand_over.value
}

output "for_member_accounts_json" {
  description = <<-EOT
    The same as JSON, for member accounts in another state: write it to a file (terraform output -raw
    for_member_accounts_json), commit it there, and give jsondecode(file("…")) to the modules.
  EOT
  value       = jsonencode(module.member_hand_over.value)
}
