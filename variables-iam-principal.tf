# The options of the playbook iam_principal. Its manifest (playbooks/iam_principal/playbook.yaml) declares them; the output
# playbook_options fails the plan where they are wrong. Here are the rules that compare several values.

variable "iam_principal" {
  description = <<-EOT
    How the playbook iam_principal responds to findings about a credential of IAM, for example
    { revoke_sessions = "role", restore = true }. docs/playbook-options.md lists the options, their values and defaults.
    A key or a value that the playbook does not know fails the plan.
  EOT
  type        = any
  default     = {}
  nullable    = false

  validation {
    # One account may be the user's own; of two, one is another.
    condition = (
      try(var.iam_principal.rotate_key.kms_key_id, null) != null ||
      length(distinct([for arn in try(var.iam_principal.rotate_key.reader_arns, []) : try(split(":", arn)[4], "")])) < 2
    )
    error_message = "iam_principal.rotate_key.reader_arns are of several accounts (${join(", ", distinct([for arn in try(var.iam_principal.rotate_key.reader_arns, []) : try(split(":", arn)[4], "")]))}), so some could never read the key: what aws/secretsmanager encrypts is its own account's alone. Set rotate_key.kms_key_id to the ARN of a customer managed key that these accounts may use, or name readers of one account."
  }
  validation {
    condition     = !endswith(try(tostring(coalesce(var.iam_principal.rotate_key.kms_key_id, "-")), "-"), "alias/aws/secretsmanager")
    error_message = "iam_principal.rotate_key.kms_key_id must be a customer managed key: leave it out for aws/secretsmanager."
  }
}
