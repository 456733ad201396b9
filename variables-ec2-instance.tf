# The options of the playbook ec2_instance. Its manifest (playbooks/ec2_instance/playbook.yaml) declares them; the output
# playbook_options fails the plan where they are wrong.

variable "ec2_instance" {
  description = <<-EOT
    How the playbook ec2_instance responds to findings about an EC2 instance, for example
    { auto_scaling = "standby", restore = true }. docs/playbook-options.md lists the options, their values and defaults.
    A key or a value that the playbook does not know fails the plan.
  EOT
  type        = any
  default     = {}
  nullable    = false
}
