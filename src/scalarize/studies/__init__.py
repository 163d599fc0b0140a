"""Studies: tables and figures of papers. A study lists its runs; missing ones are run, present ones are read."""
