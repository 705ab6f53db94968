"""Who answers: providers over HTTP, and the built-in reader."""
