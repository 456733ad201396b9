variable "region" {
  description = "The aggregation Region, in which the response runs."
  type        = string
  default     = "eu-central-1"
}

variable "management_account_id" {
  description = "The organization's management account, which registers the delegated administrator."
  type        = string
}

variable "security_account_id" {
  description = "The account in which the response runs: GuardDuty's delegated administrator."
  type        = string
}

variable "workloads_account_id" {
  description = "A member account."
  type        = string
}

variable "members" {
  description = "Maps account ids to e-mail addresses as AWS Organizations has them: accounts that become members beside auto_enable_members = NEW or NONE. ALL makes every account a member."
  type        = map(string)
  default     = {}
}

variable "member_features" {
  description = "Maps an account id, and then a protection plan, to ENABLED or DISABLED: exceptions of member accounts, for plans that are not ALL."
  type        = map(map(string))
  default     = {}
}

variable "deployment_role" {
  description = "Role that Terraform assumes in each account."
  type        = string
  default     = "terraform"
}

variable "auto_enable_members" {
  description = "ALL, NEW or NONE: which accounts of the organization get GuardDuty automatically. NONE sets every protection plan to NONE too. Apply it before you disassociate members and remove everything (docs/off-boarding.md)."
  type        = string
  default     = "ALL"
}

variable "email_addresses" {
  description = "Addresses that get notifications. Each confirms its subscription once."
  type        = list(string)
  default     = []
}
