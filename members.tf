# What member accounts and other Regions get of this deployment (outputs-members.tf, outputs-regions.tf).

module "patterns" {
  source = "./modules/event-patterns"

  name_prefix = var.name_prefix
  playbooks   = local.playbooks_in_use
}

locals {
  # Nothing can be undone while no playbook is in use, and nobody looks for it with watch.cloudtrail = false.
  change_rules = { for name, rule in module.patterns.forwarder_rules : name => rule if name != "findings" && var.create && var.watch.cloudtrail }
}

module "member_hand_over" {
  source = "./modules/member-hand-over"

  name_prefix         = var.name_prefix
  security_account_id = local.account_id
  organization_id     = var.organization_id
  partition           = local.partition
  iam_path            = var.iam.path
  # All of them: a finding type that is switched on later must not wait for every account's roles.
  playbooks           = keys(local.playbooks)
  restore             = [for name, jobs in local.jobs_switched_on : name if contains(jobs, "restore")]
  remediate           = [for name, jobs in local.jobs_switched_on : name if contains(jobs, "remediate")]
  terminate           = [for name, jobs in local.jobs_switched_on : name if contains(jobs, "terminate")]
  rotate_keys         = local.playbook_options.iam_principal.rotate_key != null
  untrack_connections = local.playbook_options.ec2_instance.untrack_connections
  forensics           = var.forensics.when == "after"
  identity_center     = local.identity_center != null
  forwarder = var.event_forwarding.from_organization && length(local.change_rules) > 0 ? {
    event_bus_arn = local.event_bus_arn
    rules         = local.change_rules
  } : null
}
