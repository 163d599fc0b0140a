"""The exact Gramian of the tasks' gradients without the gradients: from what enters and leaves each layer."""
