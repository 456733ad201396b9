variable "name_prefix" {
  description = "Prefix of every name, also of the response's own roles."
  type        = string
  nullable    = false
}

variable "playbooks" {
  description = "Playbooks whose containment is monitored."
  type        = set(string)
  nullable    = false
}
