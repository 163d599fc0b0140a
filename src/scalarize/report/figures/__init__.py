"""Which figures show what: functions from records and tables to charts; nothing is drawn here."""
