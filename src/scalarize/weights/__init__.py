"""Task weights: points on the simplex, and policies, which are task weights over epochs."""
