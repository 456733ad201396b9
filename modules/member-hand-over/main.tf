# Internal: the root module calls this module. Its variables may change in any release.
#
# Computes the value that the modules of member accounts take, without creating anything. The root module gives it out as
# for_member_accounts. What the security account knows of a member account is derived here once: which roles there are, their
# names, and the function that each trusts.

locals {
  # kind of member role => the job in the name of the function that assumes it, and the playbooks for which it exists
  kinds = {
    responder  = { function = "playbook", playbooks = var.playbooks }
    collector  = { function = "collect", playbooks = var.playbooks }
    remediator = { function = "remediate", playbooks = var.remediate }
    restorer   = { function = "restore", playbooks = var.restore }
    terminator = { function = "terminate", playbooks = var.terminate }
    # The role of this function has another name than the function: in one account, the two roles would have the same.
    # What a playbook without this policy contained is verified by the state machine.
    monitor = {
      function  = "monitor-function"
      playbooks = [for name in var.playbooks : name if fileexists("${path.module}/../../playbooks/${name}/monitor-policy.json")]
    }
  }
  # Roles of the Identity Center account. They exist beside the roles of playbooks for that account's own resources.
  identity_center_kinds = {
    identity-center-responder = { function = "playbook", playbooks = ["iam_principal"] }
    identity-center-monitor   = { function = "monitor-function", playbooks = ["iam_principal"] }
    identity-center-restorer  = { function = "restore", playbooks = [for name in var.restore : name if name == "iam_principal"] }
  }

  roles = merge(flatten([
    [for kind, what in local.kinds : [
      for name in what.playbooks : { "${kind}/${name}" = { name = "${kind}-${replace(name, "_", "-")}", function = what.function, playbook = name } }
    ]],
    [for kind, what in local.identity_center_kinds : [
      for name in what.playbooks : { "${kind}/${name}" = { name = kind, function = what.function, playbook = name } } if var.identity_center
    ]],
  ])...)

  quarantine_name = "${var.name_prefix}-quarantine"
}
