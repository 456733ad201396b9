# The organization, as its delegated administrator sees it. The detector must not depend on anything here:
# administrator_account_id may be known only after the registration, which needs the detector.

data "aws_caller_identity" "current" {
  count = local.configures ? 1 : 0
}

locals {
  # Where a policy of AWS Organizations switches GuardDuty on, auto-enable has no effect, and the plans that it manages
  # cannot be set.
  by_policy  = var.managed_by == "GUARDDUTY_POLICY"
  configures = local.organization.manage && !local.by_policy

  account_id = one(data.aws_caller_identity.current[*].account_id)

  # These features are not offered to members, so they are never derived for them.
  own_account_only = ["AI_ANALYST"]

  auto_enable_of = { ENABLED = "ALL", DISABLED = "NONE", UNMANAGED = "UNMANAGED" }
  organization_names = local.configures ? setsubtract(
    toset([for key in concat(keys(local.features), keys(local.organization.features)) : key if !strcontains(key, "/")]),
    setsubtract(local.own_account_only, keys(local.organization.features)),
  ) : toset([])
  organization_status = {
    for name in local.organization_names : name => lookup(local.organization.features, name, local.auto_enable_of[lookup(local.merged, name, "UNMANAGED")])
  }
  # A configuration goes no further than its feature, unless it is set explicitly.
  organization_features = {
    for name, status in local.organization_status : name => {
      auto_enable = status
      configurations = {
        for conf, value in {
          for conf in distinct(concat(
            lookup(local.known_configurations, name, []),
            [for key in concat(keys(local.merged), keys(local.organization.features)) : split("/", key)[1] if startswith(key, "${name}/")],
          )) :
          conf => lookup(local.organization.features, "${name}/${conf}", {
            ENABLED   = status
            DISABLED  = "NONE"
            UNMANAGED = "UNMANAGED"
          }[lookup(local.merged, "${name}/${conf}", "DISABLED")])
        } : conf => value if value != "UNMANAGED"
      }
    } if status != "UNMANAGED"
  }
  organization_flat = merge(
    { for name, one in local.organization_features : name => one.auto_enable },
    [for name, one in local.organization_features : { for conf, value in one.configurations : "${name}/${conf}" => value }]...
  )

  organization_blocks = {
    for name, one in local.organization_features : name => concat(
      [for conf in local.order.organization : { name = conf, auto_enable = one.configurations[conf] } if contains(keys(one.configurations), conf)],
      [for conf, value in one.configurations : { name = conf, auto_enable = value } if !contains(local.order.organization, conf)],
    )
  }

  # Configurations that were named although their feature is unmanaged.
  orphans = local.configures ? [
    for key, value in local.organization.features : key
    if strcontains(key, "/") && value != "UNMANAGED" && !contains(keys(local.organization_features), split("/", key)[0])
  ] : []

  # "account/FEATURE" => what differs there. Configurations that are not named are as in the detector, or off with
  # their feature.
  member_features = merge([
    for account, wanted in local.organization.member_features : {
      for name, status in wanted : "${account}/${name}" => {
        account_id = account
        name       = name
        status     = status
        configurations = {
          for conf, value in {
            for conf in distinct(concat(
              lookup(local.known_configurations, name, []),
              [for key in concat(keys(local.merged), keys(wanted)) : split("/", key)[1] if startswith(key, "${name}/")],
            )) :
            conf => lookup(wanted, "${name}/${conf}", status == "DISABLED" && name != local.rds ? status : lookup(local.merged, "${name}/${conf}", "DISABLED"))
          } : conf => value if value != "UNMANAGED"
        }
      } if !strcontains(name, "/")
    } if local.configures
  ]...)
  member_blocks = {
    for key, one in local.member_features : key => concat(
      [for conf in local.order.detector : { name = conf, status = one.configurations[conf] } if contains(keys(one.configurations), conf)],
      [for conf, status in one.configurations : { name = conf, status = status } if !contains(local.order.detector, conf)],
    )
  }
  # Exceptions for features that GuardDuty sets for all accounts. The API refuses them.
  overruled = distinct(flatten([
    for key, one in local.member_features : [
      for name in concat([one.name], [for conf in keys(one.configurations) : "${one.name}/${conf}"]) :
      "${name} of ${one.account_id}" if lookup(local.organization_flat, name, "") == "ALL"
    ]
  ]))
  beyond = [
    for key, value in local.organization_flat : key
    if strcontains(key, "/") && value != "NONE" && lookup(local.organization_flat, split("/", key)[0], "NONE") == "NONE"
  ]
}

resource "aws_guardduty_organization_configuration" "this" { # To go on with it: guardduty.organization.manage = true. To give it up: UPGRADING.md, "Giving GuardDuty up".
  count = local.configures ? 1 : 0

  detector_id                      = local.detector_id
  auto_enable_organization_members = local.organization.auto_enable_members

  lifecycle {
    prevent_destroy = true

    precondition {
      condition     = local.managed
      error_message = "organization.manage = true needs a detector: set detector create = true, or give the id of the one that exists."
    }
    precondition {
      condition     = local.organization.administrator_account_id == null || local.organization.administrator_account_id == local.account_id
      error_message = "The organization's GuardDuty is configured by its delegated administrator. organization.administrator_account_id says that this is account ${coalesce(local.organization.administrator_account_id, "none")}, but these credentials are of account ${coalesce(local.account_id, "unknown")}: use the provider of ${coalesce(local.organization.administrator_account_id, "none")}, or register this account with modules/delegated-admin."
    }
    precondition {
      condition     = !contains(keys(merge(local.organization.members, local.organization.member_features)), coalesce(local.account_id, "none"))
      error_message = "organization.members and organization.member_features are about other accounts: ${coalesce(local.account_id, "this account")} is the delegated administrator itself; its own protection plans are detector features."
    }
    precondition {
      condition     = length([for name in ["RUNTIME_MONITORING", "EKS_RUNTIME_MONITORING"] : name if lookup(local.organization_flat, name, "NONE") != "NONE"]) < 2
      error_message = "organization.features must not enable both RUNTIME_MONITORING and EKS_RUNTIME_MONITORING: the first contains the second, and GuardDuty refuses the pair. Set one of them to NONE or UNMANAGED."
    }
    precondition {
      condition     = length(local.orphans) == 0
      error_message = "organization.features configures ${join(", ", local.orphans)}, but the feature itself is not managed: set it to ALL, NEW or NONE."
    }
    precondition {
      condition     = length(local.beyond) == 0
      error_message = "organization.features enables ${join(", ", local.beyond)} although the feature itself is NONE: set the feature to NEW or ALL, or the configuration to NONE."
    }
    precondition {
      condition     = length(local.overruled) == 0
      error_message = "organization.member_features makes an exception for ${join(", ", local.overruled)}, but that is ALL for the organization, and GuardDuty refuses exceptions from ALL. Set it to NEW or NONE in organization.features (accounts that have it keep it)."
    }
  }
}

resource "aws_guardduty_organization_configuration_feature" "this" {
  for_each   = { for name, one in local.organization_features : name => one if name != local.rds }
  depends_on = [aws_guardduty_organization_configuration.this]

  detector_id = local.detector_id
  name        = each.key
  auto_enable = each.value.auto_enable

  dynamic "additional_configuration" {
    for_each = local.organization_blocks[each.key]

    content {
      name        = additional_configuration.value.name
      auto_enable = additional_configuration.value.auto_enable
    }
  }

  lifecycle {
    # No prevent_destroy, which would refuse these replacements; destroying it calls nothing.
    # With a change of auto-enable, the provider also sends its deprecated data sources from the state. They know no
    # ALL, so plans that were ALL become NEW or NONE, and only the next plan shows it. Deleting a feature's resource
    # does nothing in GuardDuty.
    replace_triggered_by = [aws_guardduty_organization_configuration.this[0].auto_enable_organization_members]
  }
}

# Members by name beside ALL are no error, but they do not have the effect that one expects.
check "members_beside_all" {
  assert {
    condition     = !local.configures || local.organization.auto_enable_members != "ALL" || length(local.organization.members) == 0
    error_message = "organization.members names ${join(", ", keys(local.organization.members))}, but auto_enable_members is ALL, which makes every account a member within a day. While it is ALL, removing an entry of members does not disassociate the account (it stays a member, and is paid for), and newer provider versions fail to create a member that ALL created first. Leave members empty, or set auto_enable_members to NEW or NONE; docs/off-boarding.md says how to disassociate an account."
  }
}

resource "aws_guardduty_member" "this" { # To go on with it: name the account in guardduty.organization.members. To give it up: docs/off-boarding.md.
  for_each = local.configures ? local.organization.members : {}
  # A new member gets the organization's settings of that moment.
  depends_on = [
    aws_guardduty_organization_configuration.this, aws_guardduty_organization_configuration_feature.this,
    aws_guardduty_organization_configuration_feature.rds, aws_guardduty_organization_configuration_feature.rds_data_risk,
  ]

  detector_id = local.detector_id
  account_id  = each.key
  email       = each.value

  lifecycle {
    prevent_destroy = true
    # Members of an organization are not invited, but GuardDuty shows them as if they were, with the address that
    # Organizations has. Following either value would disassociate or replace them.
    ignore_changes = [disable_email_notification, email, invitation_message, invite]
  }
}

resource "aws_guardduty_member_detector_feature" "this" { # To go on with it: name it in guardduty.organization.member_features. To give it up: UPGRADING.md, "Giving GuardDuty up".
  for_each   = local.member_features
  depends_on = [aws_guardduty_member.this]

  detector_id = local.detector_id
  account_id  = each.value.account_id
  name        = each.value.name
  status      = each.value.status

  dynamic "additional_configuration" {
    for_each = local.member_blocks[each.key]

    content {
      name   = additional_configuration.value.name
      status = additional_configuration.value.status
    }
  }

  lifecycle {
    prevent_destroy = true
  }
}
