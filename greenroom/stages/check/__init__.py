"""check: is it used properly? Personal data, secrets, injected instructions, offence, topics."""
