variable "region" {
  description = "The home Region."
  type        = string
  default     = "eu-central-1"
}

variable "management_account_id" {
  description = "The organization's management account: registers the delegated administrator."
  type        = string
}

variable "security_account_id" {
  description = "The account the response runs in, GuardDuty's delegated administrator."
  type        = string
}

variable "workloads_account_id" {
  description = "A member account."
  type        = string
}

variable "workloads_email" {
  description = "E-mail address of that account, as AWS Organizations has it."
  type        = string
  default     = "workloads@example.com"
}

variable "deployment_role" {
  description = "Role that Terraform assumes in each account."
  type        = string
  default     = "terraform"
}

variable "auto_enable_members" {
  description = "ALL, NEW or NONE: which accounts of the organization get GuardDuty by themselves. Set it to NONE before taking all of this away (docs/off-boarding.md)."
  type        = string
  default     = "ALL"
}

variable "email_addresses" {
  description = "Who gets the messages; each address confirms its subscription once."
  type        = list(string)
  default     = []
}
