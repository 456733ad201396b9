variable "region" {
  description = "The aggregation Region, in which the response runs."
  type        = string
  default     = "eu-central-1"
}

variable "email_addresses" {
  description = "Addresses that get notifications. Each confirms its subscription once, in every Region."
  type        = list(string)
  default     = []
}

variable "forensics_profile" {
  description = "Profile of the account that keeps copies of snapshots and replicas of all other evidence. null means this account, which protects the copies from the accounts of the instances, but not from a person in this account."
  type        = string
  default     = null
}
