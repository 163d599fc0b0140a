"""Figures: functions from records and tables to charts. Nothing is drawn here."""
