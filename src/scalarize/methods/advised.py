"""The methods that an advice considers beside fixed weights: none costs more than a plain training."""

EVEN = "uniform"
LEARNED = ("uncertainty", "imtl-l")  # they weigh losses by numbers that they learn, each for its own task
