variable "region" {
  description = "The Region in which GuardDuty and its response run."
  type        = string
  default     = "eu-central-1"
}

variable "remediations" {
  description = "Maps a finding type or a pattern to a mode. It wins over remediations.yaml."
  type        = map(string)
  default     = {}
}

variable "email_addresses" {
  description = "Addresses that get notifications. Each confirms its subscription once."
  type        = list(string)
  default     = []
}
