"""What a person does in a browser, on a server with a hundred thousand exchanges behind it."""
