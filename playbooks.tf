# What each playbook is comes from its manifest (playbooks/<name>/playbook.yaml): what it answers, its functions, its
# options. docs/playbooks.md says how a manifest is written.

locals {
  # The one list of playbooks. Whoever adds a playbook adds its two folders, its variable and a line here.
  playbooks = {
    ec2_instance  = var.ec2_instance
    iam_principal = var.iam_principal
  }

  manifests = { for name in keys(local.playbooks) : name => yamldecode(file("${path.module}/playbooks/${name}/playbook.yaml")) }

  # The options with their defaults, as the config document has them, and what is wrong with those that were given
  playbook_options  = { for name, checked in module.playbook_options : name => checked.options }
  playbook_problems = flatten([for name, checked in module.playbook_options : checked.problems])

  # playbook => its jobs that the options switch on. "any" is any value but null, and any list that is not empty.
  jobs_switched_on = {
    for name, manifest in local.manifests : name => [
      for job, what in manifest.jobs : job if !can(what.switched_on_by) || anytrue([
        for option, value in try(what.switched_on_by, {}) :
        value == "any" ? local.playbook_options[name][option] != null && try(length(local.playbook_options[name][option]), 1) > 0 : local.playbook_options[name][option] == value
      ])
    ]
  }
}

module "playbook_options" {
  source   = "./modules/playbook-options"
  for_each = local.playbooks

  name    = each.key
  options = each.value
}
