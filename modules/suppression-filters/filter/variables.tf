variable "filter" {
  description = "The filter of this position, as in modules/suppression-filters, with its detector, rank and tags. Nothing is created if it is null."
  type = object({
    detector_id = string
    rank        = number
    tags        = map(string)
    name        = string
    description = optional(string)
    criteria    = map(map(list(string)))
  })
  default = null
}
