output "options" {
  description = "Every option of the playbook, with the default of its manifest where nothing was given. An option whose value is wrong has its default here, so that everything else can still be planned."
  value       = module.checked.values
}

output "problems" {
  description = "What is wrong with the options, as sentences. Unknown while a value of an option is known after the apply only."
  value       = module.checked.problems
}
