"""Records -> tables: statistics, comparison, Pareto fronts, conflicts, cost. Imports no torch."""
