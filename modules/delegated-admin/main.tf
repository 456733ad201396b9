# This module runs in the organization's management account, once in every Region in which GuardDuty is used. It
# registers the delegated administrator, and it switches GuardDuty on in the management account itself, which no other
# account can do.

data "aws_caller_identity" "current" {}

data "aws_organizations_organization" "this" {
  lifecycle {
    postcondition {
      condition     = self.master_account_id == data.aws_caller_identity.current.account_id
      error_message = "modules/delegated-admin must run in the management account of organization ${self.id}, which is ${self.master_account_id}; these credentials are of account ${data.aws_caller_identity.current.account_id}. Give the module a provider of ${self.master_account_id}."
    }
    postcondition {
      # Another account sees neither trusted access nor accounts, so only the error above tells it what is wrong.
      condition = self.master_account_id != data.aws_caller_identity.current.account_id || alltrue([
        for principal in local.trusted_services : contains(self.aws_service_access_principals, principal)
      ])
      error_message = "Trusted access for ${join(" and ", [for principal in local.trusted_services : principal if !contains(coalesce(self.aws_service_access_principals, []), principal)])} is not enabled in organization ${self.id}, and GuardDuty needs it. Where the organization is managed, add it to aws_service_access_principals of aws_organizations_organization, or: ${join("; ", [for principal in local.trusted_services : "aws organizations enable-aws-service-access --service-principal ${principal}" if !contains(coalesce(self.aws_service_access_principals, []), principal)])}"
    }
    postcondition {
      condition     = self.master_account_id != data.aws_caller_identity.current.account_id || var.admin_account_id != self.master_account_id
      error_message = "admin_account_id ${var.admin_account_id} is the management account of organization ${self.id}: register another account, as AWS recommends; what happens in the management account is hard to limit."
    }
    postcondition {
      # Since Organizations retired `status`, it answers with `state` only. Providers without `state` then return "".
      condition = self.master_account_id != data.aws_caller_identity.current.account_id || var.admin_account_id == self.master_account_id || contains([
        for account in coalesce(self.accounts, []) : account.id
        if !contains(["SUSPENDED", "PENDING_CLOSURE", "CLOSED"], try(account.state, account.status))
      ], var.admin_account_id)
      error_message = "admin_account_id ${var.admin_account_id} is no account of organization ${self.id}, or is suspended or closed: only an account of the organization can be its delegated administrator."
    }
  }
}

locals {
  # EBS volumes of members are scanned with a service principal of their own.
  trusted_services = concat(["guardduty.amazonaws.com"], var.malware_protection ? ["malware-protection.guardduty.amazonaws.com"] : [])

  policy_enabled = anytrue(flatten([
    for root in coalesce(data.aws_organizations_organization.this.roots, []) : [
      for type in coalesce(root.policy_types, []) : type.type == "GUARDDUTY_POLICY" && type.status == "ENABLED"
    ]
  ]))

  features = { for key, status in var.features : key => status if !strcontains(key, "/") && status != "UNMANAGED" }
}

# The management account's own detector. The delegated administrator can neither create it, nor make the account a
# member without it.
resource "aws_guardduty_detector" "management" {
  #checkov:skip=CKV2_AWS_3:the organization is configured by its delegated administrator, in another account
  count      = var.enable_management_account ? 1 : 0
  depends_on = [data.aws_organizations_organization.this] # its conditions

  enable = true
  tags   = var.tags

  lifecycle {
    # A member has its administrator's frequency.
    ignore_changes = [finding_publishing_frequency]
  }
}

# A new detector has every protection plan on except Runtime Monitoring, and NONE of the organization switches none of
# them off. Therefore plans are switched off before the registration. Once the account is a member, only the
# administrator can change its plans.
resource "aws_guardduty_detector_feature" "management" {
  for_each = local.features

  detector_id = aws_guardduty_detector.management[0].id
  name        = each.key
  status      = each.value

  dynamic "additional_configuration" {
    for_each = { for key, status in var.features : split("/", key)[1] => status if startswith(key, "${each.key}/") && status != "UNMANAGED" }

    content {
      name   = additional_configuration.key
      status = additional_configuration.value
    }
  }

  lifecycle {
    ignore_changes = [status, additional_configuration]
  }
}

resource "aws_guardduty_organization_admin_account" "this" {
  depends_on = [data.aws_organizations_organization.this, aws_guardduty_detector.management, aws_guardduty_detector_feature.management]

  admin_account_id = var.admin_account_id

  lifecycle {
    precondition {
      condition     = var.admin_detector_id == null || can(regex("^[0-9a-f]{32}$", var.admin_detector_id))
      error_message = "admin_detector_id must be the id of a GuardDuty detector (32 hexadecimal digits) in account ${var.admin_account_id}, or null."
    }
  }
}
