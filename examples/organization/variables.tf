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

variable "members" {
  description = "Account id => e-mail address as AWS Organizations has it: accounts that become members beside auto_enable_members = NEW or NONE. ALL makes everybody one."
  type        = map(string)
  default     = {}
}

variable "member_features" {
  description = "Account id => protection plan => ENABLED or DISABLED: exceptions of accounts that are members, from plans that are not ALL."
  type        = map(map(string))
  default     = {}
}

variable "deployment_role" {
  description = "Role that Terraform assumes in each account."
  type        = string
  default     = "terraform"
}

variable "auto_enable_members" {
  description = "ALL, NEW or NONE: which accounts of the organization get GuardDuty by themselves. NONE sets every protection plan to NONE too: apply that before letting members go and taking all of this away (docs/off-boarding.md)."
  type        = string
  default     = "ALL"
}

variable "email_addresses" {
  description = "Who gets the messages; each address confirms its subscription once."
  type        = list(string)
  default     = []
}
