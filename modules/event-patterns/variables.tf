variable "name_prefix" {
  description = "Prefix of every name, the response's own roles among them."
  type        = string
  nullable    = false
}

variable "playbooks" {
  description = "Playbooks whose containment is watched."
  type        = set(string)
  nullable    = false
}
