# Internal: the root module calls this module. Its variables may change in any release.
#
# This module has no resources. It compares the options of one playbook with its manifest
# (playbooks/<name>/playbook.yaml), and gives every option a value.

module "checked" {
  source = "../typed-options"

  name   = var.name
  value  = var.options
  schema = yamldecode(file("${path.module}/../../playbooks/${var.name}/playbook.yaml"))
  kind   = { noun = "option", owner = "this playbook" }
}
