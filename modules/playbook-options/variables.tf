variable "name" {
  description = "Name of the playbook, which is a directory of playbooks/."
  type        = string
  nullable    = false
}

variable "options" {
  description = "What was given for the playbook: an object of some of the options that its manifest declares."
  type        = any
  nullable    = false
}
