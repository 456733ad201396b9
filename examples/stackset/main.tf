# The member accounts' roles, deployed to organizational units and to each account that joins them. Runs in the
# management account, or in a delegated administrator of StackSets (call_as). The response itself is deployed in the
# security account.

provider "aws" {
  region = var.region
}

module "member_roles" {
  source = "../../modules/responder-stackset"

  security_account_id  = var.security_account_id
  organization_id      = var.organization_id
  organizational_units = var.organizational_units
  call_as              = var.call_as

  # The same switches as in modules/responder-role. What is off here, no role in any account may do.
  playbooks = ["ec2_instance", "iam_principal"]
  restore   = ["ec2_instance", "iam_principal"]
}
