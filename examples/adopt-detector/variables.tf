variable "region" {
  description = "The Region of the detector."
  type        = string
  default     = "eu-central-1"
}

variable "detector_id" {
  description = "Id of the existing detector: aws guardduty list-detectors --query 'DetectorIds[0]' --output text"
  type        = string
}

variable "email_addresses" {
  description = "Addresses that get notifications. Each confirms its subscription once."
  type        = list(string)
  default     = []
}
