"""Whether and how a finding is answered: finding, configuration, policy, guardrails."""
