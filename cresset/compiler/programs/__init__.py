"""Programs: how graphs and recorded launches become them."""
