# What member accounts need, deployed to organizational units and to each account that joins them: the roles, and the
# forwarders. Runs in the management account, or in a delegated administrator of StackSets (call_as). The response itself is
# deployed in the security account.

provider "aws" {
  region = var.region
}

module "member_roles" {
  source = "../../modules/responder-stackset"

  # In the security account: terraform output -raw for_member_accounts_json > for_member_accounts.json
  for_member_accounts  = jsondecode(file(var.for_member_accounts_file))
  organizational_units = var.organizational_units
  forwarder_regions    = var.forwarder_regions
  call_as              = var.call_as
}
