variable "name" {
  description = "Name of the variable whose value this is. Every sentence begins with it. \"\" if value is an object of several variables."
  type        = string
  nullable    = false
}

variable "value" {
  description = "What was given for the variable: an object of some of the keys that the schema has. A key that is null counts as left out."
  type        = any
  nullable    = false
}

variable "schema" {
  description = <<-EOT
    The decoded schema: { options = { path = rule }, rules = [{ when, needs, text }] }. README.md says what a rule has.
  EOT
  type        = any
  nullable    = false
}

variable "kind" {
  description = "What a key is called in sentences, and whose it is."
  type        = object({ noun = string, owner = string })
  default     = { noun = "key", owner = "this variable" }
  nullable    = false
}

variable "fails_the_plan" {
  description = <<-EOT
    Whether the plan fails with the sentences, before anything uses the values. With false, the caller asks misspelt and
    wrong itself.
  EOT
  type        = bool
  default     = false
  nullable    = false
}
