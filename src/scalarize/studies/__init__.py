"""Which runs answer a question. A study lists its runs; missing ones are run, present ones are read."""
