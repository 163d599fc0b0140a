"""From records to tables: statistics, comparisons, Pareto fronts, conflicts, cost. Imports no torch."""
