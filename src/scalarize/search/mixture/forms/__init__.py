"""Forms of a law from mixtures to losses: one file a form, fitted metric by metric, kept as rows of numbers."""
