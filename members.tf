# What member accounts and other Regions get of this deployment (outputs-members.tf, outputs-regions.tf).

# For this account's other Regions: what this Region listens to.
module "patterns" {
  source = "./modules/event-patterns"

  name_prefix = var.name_prefix
  playbooks   = local.playbooks_in_use
}

# For member accounts: every playbook, in use or not. A finding type that is switched on later must not wait for all of them.
module "member_patterns" {
  source = "./modules/event-patterns"

  name_prefix = var.name_prefix
  playbooks   = keys(local.playbooks)
}

module "member_hand_over" {
  source = "./modules/member-hand-over"

  name_prefix         = var.name_prefix
  security_account_id = local.account_id
  organization_id     = var.organization_id
  partition           = local.partition
  iam_path            = local.iam_settings.path
  playbooks           = keys(local.playbooks)
  restore             = [for name, jobs in local.jobs_switched_on : name if contains(jobs, "restore")]
  remediate           = [for name, jobs in local.jobs_switched_on : name if contains(jobs, "remediate")]
  terminate           = [for name, jobs in local.jobs_switched_on : name if contains(jobs, "terminate")]
  rotate_keys         = local.playbook_options.iam_principal.rotate_key != null
  untrack_connections = local.playbook_options.ec2_instance.untrack_connections
  forensics           = local.forensics_settings.when == "after"
  identity_center     = local.identity_center != null
  # Nobody looks for what was undone with watch.cloudtrail = false, and the bus takes nothing of members by default.
  forwarder = var.create && local.event_forwarding_settings.from_organization && local.watch_settings.cloudtrail ? {
    event_bus_arn = local.event_bus_arn
    rules         = { for name, rule in module.member_patterns.forwarder_rules : name => rule if name != "findings" }
  } : null
}
