"""Executors, which train what a search asks for: in this process or on Ray."""
