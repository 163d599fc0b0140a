"""Search on the simplex: populations of learners in, a policy out."""
