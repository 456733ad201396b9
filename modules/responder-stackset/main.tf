# What member accounts need, in every account of some OUs and in those that join later, by CloudFormation: the roles of
# member-roles (this file), then the forwarders (forwarders.tf). Runs in the management account, or in an account that
# StackSets are delegated to. Needs trusted access of StackSets in the organization:
#   aws cloudformation activate-organizations-access
# StackSets never reach the management account: call responder-role there.

module "roles" {
  source = "../member-roles"

  for_member_accounts  = var.for_member_accounts
  account_id           = "$${AWS::AccountId}"
  permissions_boundary = var.permissions_boundary
  identity_center      = var.identity_center
}

# IAM is shared by all Regions, so the stacks are in one Region: the provider's.
resource "aws_cloudformation_stack_set" "this" {
  name             = local.name
  description      = "GuardDuty response: what it may do in a member account. Assumed by functions of account ${var.for_member_accounts.security_account_id}."
  permission_model = "SERVICE_MANAGED"
  call_as          = var.call_as
  capabilities     = ["CAPABILITY_NAMED_IAM"]
  template_body    = local.in_s3 ? null : local.templates.roles
  template_url     = local.in_s3 ? local.template_url : null
  tags             = var.tags

  auto_deployment {
    enabled                          = local.auto_deployment.enabled
    retain_stacks_on_account_removal = local.auto_deployment.enabled ? local.auto_deployment.retain_on_account_removal : null
  }

  # A second change waits for the first instead of failing.
  managed_execution {
    active = true
  }

  operation_preferences {
    failure_tolerance_percentage = local.operation_preferences.failure_tolerance_percentage
    max_concurrent_percentage    = local.operation_preferences.max_concurrent_percentage
  }

  lifecycle {
    # CloudFormation sets this value, and providers before 6.29 want to remove it in every plan.
    ignore_changes = [administration_role_arn]

    precondition {
      condition     = length(regexall("${local.string}:", local.documents.roles)) == 0
      error_message = "A policy has an account id, a partition or a policy variable in the key of a condition, where neither CloudFormation nor IAM puts one in."
    }
  }
}

# There is one resource for each OU, because a change of an instance's targets deletes and creates it.
resource "aws_cloudformation_stack_set_instance" "this" {
  for_each = var.organizational_units

  stack_set_name = aws_cloudformation_stack_set.this.name
  call_as        = var.call_as
  retain_stack   = var.retain_stacks

  deployment_targets {
    organizational_unit_ids = [each.value]
    account_filter_type     = local.accounts.filter == "NONE" ? null : local.accounts.filter
    accounts                = local.accounts.filter == "NONE" ? null : local.accounts.ids
  }

  operation_preferences {
    failure_tolerance_percentage = local.operation_preferences.failure_tolerance_percentage
    max_concurrent_percentage    = local.operation_preferences.max_concurrent_percentage
  }

  lifecycle {
    # These preferences apply to the creation. A change of them alone would be an update that names the OU where AWS
    # expects an account.
    ignore_changes = [operation_preferences]
  }
}
